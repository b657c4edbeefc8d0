package rawjson

import "unicode/utf8"

// ws returns the index of the first byte from i on that is no white space.
func ws(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// noLimit is the depth of callers who do not bound it: they read what has
// been checked before. Nesting costs a bit a level, not stack.
const noLimit = int(^uint(0) >> 1)

// skip returns the index behind the value that starts at b[i], white space
// allowed before it. When the value is malformed or nests deeper than depth
// it returns the offset of the fault and its code.
func skip(b []byte, i, depth int) (int, code) { return scan(b, i, depth, nil) }

// scan is the grammar of RFC 8259. With a keyset it also refuses repeated
// keys and invalid UTF-8 at every depth.
//
// The kinds of the open containers are the bits of kinds, innermost lowest
// and 1 for an object; every 64 levels they are spilled.
func scan(b []byte, i, depth int, keys *keyset) (int, code) {
	var (
		kinds uint64
		spill []uint64
		open  int
	)
value:
	if i < len(b) && b[i] <= ' ' {
		i = ws(b, i)
	}
	if i >= len(b) {
		return i, codeEnd
	}
	switch c := b[i]; c {
	case '"':
		if end := shortString(b, i); end != 0 {
			i = end
			break
		}
		end, fl := scanString(b, i)
		if fl.bad() {
			return end, fl.code()
		}
		if keys != nil && fl&flagHigh != 0 && !utf8.Valid(b[i:end]) {
			return i + firstInvalid(b[i:end]), codeUTF8
		}
		i = end
	case '{', '[':
		if open >= depth {
			return i, codeDepth
		}
		if open&63 == 0 && open > 0 {
			spill = append(spill, kinds)
		}
		open++
		i++
		if i < len(b) && b[i] <= ' ' {
			i = ws(b, i)
		}
		if c == '[' {
			kinds <<= 1
			if i < len(b) && b[i] == ']' {
				i++
				goto pop
			}
			goto value
		}
		kinds = kinds<<1 | 1
		if keys != nil {
			keys.open()
		}
		if i < len(b) && b[i] == '}' {
			i++
			if keys != nil {
				keys.close()
			}
			goto pop
		}
		goto key
	case 't', 'f', 'n':
		end, ok := scanLiteral(b, i)
		if !ok {
			return i, codeLiteral
		}
		i = end
	default:
		if c != '-' && (c < '0' || c > '9') {
			return i, codeValue
		}
		end, ok := scanNumber(b, i)
		if !ok {
			return end, codeNumber
		}
		i = end
	}
after:
	if open == 0 {
		return i, codeOK
	}
	if i < len(b) && b[i] <= ' ' {
		i = ws(b, i)
	}
	if i >= len(b) {
		return i, codeEnd
	}
	if kinds&1 == 0 {
		switch b[i] {
		case ',':
			i++
			goto value
		case ']':
			i++
			goto pop
		}
		return i, codeElement
	}
	switch b[i] {
	case ',':
		i++
		if i < len(b) && b[i] <= ' ' {
			i = ws(b, i)
		}
		goto key
	case '}':
		i++
		if keys != nil {
			if at, dup := keys.close(); dup {
				return at, codeDuplicate
			}
		}
		goto pop
	}
	return i, codeMember
pop:
	open--
	kinds >>= 1
	if open&63 == 0 && open > 0 {
		kinds = spill[len(spill)-1]
		spill = spill[:len(spill)-1]
	}
	goto after
key:
	if i >= len(b) {
		return i, codeEnd
	}
	if b[i] != '"' {
		return i, codeKey
	}
	end, fl := shortString(b, i), strFlags(0)
	if end == 0 {
		if end, fl = scanString(b, i); fl.bad() {
			return end, fl.code()
		}
	}
	if keys != nil {
		if c := keys.add(i, end, fl); c != codeOK {
			if c == codeUTF8 {
				i += firstInvalid(b[i:end])
			}
			return i, c
		}
	}
	i = end
	if i < len(b) && b[i] <= ' ' {
		i = ws(b, i)
	}
	if i >= len(b) {
		return i, codeEnd
	}
	if b[i] != ':' {
		return i, codeColon
	}
	i++
	goto value
}

func scanLiteral(b []byte, i int) (int, bool) {
	want := "true"
	switch b[i] {
	case 'f':
		want = "false"
	case 'n':
		want = "null"
	}
	end := i + len(want)
	return end, end <= len(b) && string(b[i:end]) == want
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// scanNumber returns the index behind the number at b[i], or false and the
// place at which it is malformed.
func scanNumber(b []byte, i int) (int, bool) {
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else {
		end := digits(b, i)
		if end == i {
			return i, false
		}
		i = end
	}
	if i < len(b) && b[i] == '.' {
		end := digits(b, i+1)
		if end == i+1 {
			return end, false
		}
		i = end
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		end := digits(b, i)
		if end == i {
			return i, false
		}
		i = end
	}
	return i, true
}

// members walks over the members of one object. The caller moves pos behind
// each value before it calls next again.
type members struct {
	b       []byte
	pos     int // in: the opening brace; after next: the value, or behind the closing brace
	key     int // the opening quote of the key
	keyEnd  int // behind its closing quote
	flags   strFlags
	started bool
	fault   code // why next returned false; pos is the place
}

// next moves to the next member. At the end of the object, and at a fault, it
// returns false.
func (m *members) next() bool {
	b, i := m.b, m.pos
	if !m.started {
		m.started = true
		if i = ws(b, i+1); i < len(b) && b[i] == '}' {
			m.pos = i + 1
			return false
		}
	} else {
		if i < len(b) && b[i] <= ' ' {
			i = ws(b, i)
		}
		if i >= len(b) {
			return m.fail(i, codeEnd)
		}
		if b[i] == '}' {
			m.pos = i + 1
			return false
		}
		if b[i] != ',' {
			return m.fail(i, codeMember)
		}
		i++
		if i < len(b) && b[i] <= ' ' {
			i = ws(b, i)
		}
	}
	if i >= len(b) {
		return m.fail(i, codeEnd)
	}
	if b[i] != '"' {
		return m.fail(i, codeKey)
	}
	end, fl := shortString(b, i), strFlags(0)
	if end == 0 {
		end, fl = scanString(b, i)
	}
	if fl.bad() {
		return m.fail(end, fl.code())
	}
	m.key, m.keyEnd, m.flags = i, end, fl
	i = end
	if i < len(b) && b[i] <= ' ' {
		i = ws(b, i)
	}
	if i >= len(b) {
		return m.fail(i, codeEnd)
	}
	if b[i] != ':' {
		return m.fail(i, codeColon)
	}
	i++
	if i < len(b) && b[i] <= ' ' {
		i = ws(b, i)
	}
	m.pos = i
	return true
}

func (m *members) fail(i int, c code) bool {
	m.pos, m.fault = i, c
	return false
}
