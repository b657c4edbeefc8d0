package rawjson

import "math/bits"

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
	if len(edits) <= maxGroup && independent(edits) {
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

// group is a set of edits, by their index.
type group uint64

const maxGroup = 64

// next returns the lowest index in a group that is not empty.
func (g group) next() int { return bits.TrailingZeros64(uint64(g)) }

func (g group) without(e int) group { return g &^ (1 << e) }

// patch makes at most maxGroup edits that are independent of each other.
func patch(obj []byte, edits []Edit) []byte {
	p := patcher{src: obj, edits: edits}
	all := ^group(0) >> (maxGroup - len(edits))
	if len(edits) == 0 {
		return obj
	}
	i := ws(obj, 0)
	if i >= len(obj) || obj[i] != '{' {
		if !p.sets(all) {
			return obj
		}
		return p.create(p.room(), all, 0)
	}
	out, ok := p.object(nil, i, 0, all)
	if !ok || out == nil {
		return obj
	}
	return append(out, obj[p.copied:]...)
}

// patcher copies src and makes the edits on the way. The copy, which is nil
// until the first change, is handed from method to method.
type patcher struct {
	src    []byte
	copied int // how much of src has been copied or left out
	edits  []Edit
	done   group
}

// room makes the copy, with room for all that may be added.
func (p *patcher) room() []byte {
	n := len(p.src) + 2
	for _, e := range p.edits {
		n += len(e.Value) + len(",null")
		for _, s := range e.Path {
			n += len(s) + len(`"":{}`)
		}
	}
	return make([]byte, 0, n)
}

// copyTo copies src up to i.
func (p *patcher) copyTo(out []byte, i int) []byte {
	if out == nil {
		out = p.room()
	}
	out = append(out, p.src[p.copied:i]...)
	p.copied = i
	return out
}

// sets reports whether g holds an edit, still to be made, that sets a value.
func (p *patcher) sets(g group) bool {
	for g &^= p.done; g != 0; g = g.without(g.next()) {
		if p.edits[g.next()].Value != nil {
			return true
		}
	}
	return false
}

// match returns the edits of g, still to be made, whose key at level is the
// raw key.
func (p *patcher) match(g group, level int, key []byte) group {
	var found group
	for g &^= p.done; g != 0; g = g.without(g.next()) {
		if e := g.next(); KeyIs(key, p.edits[e].Path[level]) {
			found |= 1 << e
		}
	}
	return found
}

// object makes the edits of g, whose paths agree above level, in the object
// at src[i]. It reports false when the object is malformed.
//
// A kept member is copied with the separator before it, or with the white
// space behind the brace when none was kept before: so a removed member takes
// exactly one comma along.
func (p *patcher) object(out []byte, i, level int, g group) ([]byte, bool) {
	var (
		m       = members{b: p.src, pos: i}
		kept    = false // a member stands in the copy
		cutting = false // removed members lie between copied and here
		prevEnd = i + 1
	)
	for m.next() {
		start := m.pos
		end, c := skip(p.src, start, noLimit)
		if c != codeOK {
			return nil, false
		}
		m.pos = end
		sub := p.match(g, level, p.src[m.key:m.keyEnd])
		leaf := sub != 0 && len(p.edits[sub.next()].Path) == level+1
		if leaf && p.edits[sub.next()].Value == nil {
			if !cutting {
				from := m.key
				if kept {
					from = prevEnd
				}
				out = p.copyTo(out, from)
				cutting = true
			}
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
			case sub == 0:
			case leaf:
				out = p.value(p.copyTo(out, start), sub.next())
				p.copied = end
			case p.src[start] == '{':
				var ok bool
				if out, ok = p.object(out, start, level+1, sub); !ok {
					return nil, false
				}
			case p.sets(sub):
				out = p.create(p.copyTo(out, start), sub, level+1)
				p.copied = end
			}
		}
		p.done |= sub
		prevEnd = end
		if g&^p.done == 0 && !cutting {
			return out, true
		}
	}
	if m.fault != codeOK {
		return nil, false
	}
	if cutting {
		p.copied = prevEnd
	}
	if p.sets(g) {
		if !cutting {
			out = p.copyTo(out, prevEnd)
		}
		out = p.append(out, g, level, kept)
	}
	return out, true
}

// value appends the value of an edit.
func (p *patcher) value(out []byte, e int) []byte {
	if v := p.edits[e].Value; len(v) > 0 {
		return append(out, v...)
	}
	return append(out, "null"...)
}

// create appends an object that holds what g sets.
func (p *patcher) create(out []byte, g group, level int) []byte {
	out = p.append(append(out, '{'), g, level, false)
	return append(out, '}')
}

// append appends the members that g sets and that were absent.
func (p *patcher) append(out []byte, g group, level int, comma bool) []byte {
	for g &^= p.done; g != 0; {
		e := g.next()
		path := p.edits[e].Path
		sub := group(1) << e
		for rest := g.without(e); rest != 0; rest = rest.without(rest.next()) {
			if o := rest.next(); p.edits[o].Path[level] == path[level] {
				sub |= 1 << o
			}
		}
		g &^= sub
		if p.sets(sub) {
			if comma {
				out = append(out, ',')
			}
			comma = true
			out = append(AppendString(out, path[level]), ':')
			if len(path) == level+1 {
				out = p.value(out, e)
			} else {
				out = p.create(out, sub, level+1)
			}
		}
		p.done |= sub
	}
	return out
}
