package rawjson

// Edit is one change of [Apply].
type Edit struct {
	Path  []string // the keys from the outermost in, decoded
	Value []byte   // raw JSON; nil removes the member
}

// Set returns a copy of obj in which the member at path has the given value.
// A member that is absent is appended to its object, and objects that are
// missing on the way are created; whatever stands on the way and is no object
// gives place to one. An obj that is nil, null or no object counts as {}.
// Every other byte is as it was: repeated keys too, of which the first is
// the one that is set. A nil value is written as null.
//
// An obj that is malformed before the place is returned as it is.
func Set(obj []byte, value []byte, path ...string) []byte {
	if len(value) == 0 {
		value = []byte("null")
	}
	edits := [1]Edit{{Path: path, Value: value}}
	return Apply(obj, edits[:]...)
}

// Delete returns a copy of obj without the member at path and its comma. When
// there is no such member it returns obj itself.
func Delete(obj []byte, path ...string) []byte {
	edits := [1]Edit{{Path: path}}
	return Apply(obj, edits[:]...)
}

// Apply makes several edits, as [Set] and [Delete] one after the other would,
// but in a single pass unless one edit lies within another. It returns obj
// itself when nothing changes.
func Apply(obj []byte, edits ...Edit) []byte {
	if independent(edits) {
		return patch(obj, edits)
	}
	for i := range edits {
		switch {
		case len(edits[i].Path) > 0:
			obj = patch(obj, edits[i:i+1])
		case edits[i].Value != nil:
			obj = edits[i].Value
		}
	}
	return obj
}

// independent reports whether no edit's path leads to or through another's.
func independent(edits []Edit) bool {
	for i := range edits {
		if len(edits[i].Path) == 0 {
			return false
		}
		for j := range i {
			a, b := edits[i].Path, edits[j].Path
			n := min(len(a), len(b))
			same := true
			for k := 0; k < n && same; k++ {
				same = a[k] == b[k]
			}
			if same {
				return false
			}
		}
	}
	return true
}

// patch makes edits that are independent of each other.
func patch(obj []byte, edits []Edit) []byte {
	var (
		doneBuf [8]bool
		idxBuf  [16]int
	)
	p := patcher{src: obj, edits: edits, done: doneBuf[:], idx: idxBuf[:0]}
	if len(edits) > len(doneBuf) {
		p.done = make([]bool, len(edits))
	}
	for i := range edits {
		p.idx = append(p.idx, i)
	}
	all := p.idx
	i := ws(obj, 0)
	if i >= len(obj) || obj[i] != '{' {
		if !p.anySet(all) {
			return obj
		}
		p.create(all, 0)
		return p.out
	}
	if !p.object(i, 0, all) || p.out == nil {
		return obj
	}
	return append(p.out, obj[p.copied:]...)
}

// patcher copies src to out and makes the edits on the way.
type patcher struct {
	src    []byte
	out    []byte
	copied int // how much of src is in out, or left out of it
	edits  []Edit
	done   []bool
	idx    []int // groups of edits, one behind the other
}

func (p *patcher) grow() {
	if p.out != nil {
		return
	}
	n := len(p.src) + 2
	for _, e := range p.edits {
		n += len(e.Value) + 1
		for _, s := range e.Path {
			n += len(s) + 6
		}
	}
	p.out = make([]byte, 0, n)
}

// copyTo copies src up to i.
func (p *patcher) copyTo(i int) {
	p.grow()
	p.out = append(p.out, p.src[p.copied:i]...)
	p.copied = i
}

func (p *patcher) anySet(group []int) bool {
	for _, e := range group {
		if !p.done[e] && p.edits[e].Value != nil {
			return true
		}
	}
	return false
}

// match returns the edits of group that are still to be made and whose key at
// level is the raw key.
func (p *patcher) match(group []int, level int, raw []byte) []int {
	n := len(p.idx)
	for _, e := range group {
		if !p.done[e] && KeyIs(raw, p.edits[e].Path[level]) {
			p.idx = append(p.idx, e)
		}
	}
	return p.idx[n:]
}

// object makes the edits of group, whose paths agree above level, in the
// object at src[i]. It reports false when the object is malformed.
//
// A kept member is copied with the separator before it, or with the white
// space behind the brace when none was kept before: so a removed member takes
// exactly one comma along.
func (p *patcher) object(i, level int, group []int) bool {
	var (
		m       = members{b: p.src, pos: i}
		left    = len(group)
		kept    = false // a member stands in out
		cutting = false // removed members lie between copied and here
		prevEnd = i + 1
	)
	for m.next() {
		start := m.pos
		end, c := skip(p.src, start, noLimit)
		if c != codeOK {
			return false
		}
		m.pos = end
		mark := len(p.idx)
		sub := p.match(group, level, p.src[m.key:m.keyEnd])
		left -= len(sub)
		leaf := len(sub) == 1 && len(p.edits[sub[0]].Path) == level+1
		if leaf && p.edits[sub[0]].Value == nil {
			if !cutting {
				if kept {
					p.copyTo(prevEnd)
				} else {
					p.copyTo(m.key)
				}
				cutting = true
			}
			p.done[sub[0]] = true
		} else {
			if cutting {
				p.copied = m.key
				if kept {
					p.copied = prevEnd
				}
				cutting = false
			}
			kept = true
			switch {
			case len(sub) == 0:
			case leaf:
				p.copyTo(start)
				p.value(sub[0])
				p.copied = end
			case p.src[start] == '{':
				if !p.object(start, level+1, sub) {
					return false
				}
			case p.anySet(sub):
				p.copyTo(start)
				p.create(sub, level+1)
				p.copied = end
			}
			for _, e := range sub {
				p.done[e] = true
			}
		}
		p.idx = p.idx[:mark]
		prevEnd = end
		if left == 0 && !cutting {
			return true
		}
	}
	if m.fault != codeOK {
		return false
	}
	if cutting {
		p.copied = prevEnd
	}
	if p.anySet(group) {
		if !cutting {
			p.copyTo(prevEnd)
		}
		p.append(group, level, kept)
	}
	return true
}

// value writes the value of an edit.
func (p *patcher) value(e int) {
	v := p.edits[e].Value
	if len(v) == 0 {
		p.out = append(p.out, "null"...)
		return
	}
	p.out = append(p.out, v...)
}

// create writes an object that holds what group sets.
func (p *patcher) create(group []int, level int) {
	p.grow()
	p.out = append(p.out, '{')
	p.append(group, level, false)
	p.out = append(p.out, '}')
}

// append writes the members that group sets and that were absent.
func (p *patcher) append(group []int, level int, comma bool) {
	for n, e := range group {
		if p.done[e] || p.edits[e].Value == nil {
			continue
		}
		if comma {
			p.out = append(p.out, ',')
		}
		comma = true
		path := p.edits[e].Path
		p.out = AppendString(p.out, path[level])
		p.out = append(p.out, ':')
		if len(path) == level+1 {
			p.value(e)
			p.done[e] = true
			continue
		}
		mark := len(p.idx)
		for _, o := range group[n:] {
			if !p.done[o] && p.edits[o].Path[level] == path[level] {
				p.idx = append(p.idx, o)
			}
		}
		sub := p.idx[mark:]
		p.create(sub, level+1)
		for _, o := range sub {
			p.done[o] = true
		}
		p.idx = p.idx[:mark]
	}
}
