package rawjson

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Envelope holds the members of a JSON-RPC message as they came: raw JSON
// that aliases the message, nil where a member is absent.
type Envelope struct {
	ID     json.RawMessage // a string, a number or null
	Method json.RawMessage // a string, with its quotes
	Params json.RawMessage
	Result json.RawMessage
	Error  json.RawMessage

	// Extra holds the members that JSON-RPC does not know, joined by commas
	// as they came. With more than one it is a copy.
	Extra json.RawMessage
}

// The members of an envelope as bits of a set.
const (
	memberVersion = 1 << iota
	memberID
	memberMethod
	memberParams
	memberResult
	memberError
)

// member returns the bit of a known key, given in lower case.
func member(key []byte) int {
	switch string(key) {
	case "jsonrpc":
		return memberVersion
	case "id":
		return memberID
	case "method":
		return memberMethod
	case "params":
		return memberParams
	case "result":
		return memberResult
	case "error":
		return memberError
	}
	return 0
}

// memberName returns the spelling of a known key.
func memberName(bit int) string {
	switch bit {
	case memberVersion:
		return "jsonrpc"
	case memberID:
		return "id"
	case memberMethod:
		return "method"
	case memberParams:
		return "params"
	case memberResult:
		return "result"
	default:
		return "error"
	}
}

// Split cuts one JSON-RPC 2.0 message into its members.
//
// The whole text must be one well-formed JSON object, with white space at
// most around it, that nests at most depth levels, itself included. Keys of
// the envelope are compared decoded ("\u0069d" is id); a key that stands
// twice, or that equals a known one only under Unicode simple case folding,
// is refused. Keys, id and method are exact text: valid UTF-8 without NUL and
// lone surrogates; a numeric id lies in the range of a 64-bit float. The
// values of the other members are only checked to be well-formed JSON, and
// may hold invalid UTF-8 and repeated keys: see [CheckParams].
//
// The error is a [*Fault]. ID is then set if a valid id was read.
func Split(b []byte, depth int) (Envelope, error) {
	i := ws(b, 0)
	if i >= len(b) || b[i] != '{' {
		if err := Valid(b, depth); err != nil {
			return Envelope{}, err
		}
		return Envelope{}, fault(b, "", i, codeObject, nil)
	}
	if depth < 1 {
		return Envelope{}, fault(b, "", i, codeDepth, depth)
	}
	s := splitter{b: b}
	m := members{b: b, pos: i}
	for m.next() {
		known := 0
		if m.flags == 0 {
			known = member(b[m.key+1 : m.keyEnd-1])
		}
		if known == 0 {
			known = s.unusual(m.key, m.keyEnd, m.flags)
		}
		if s.seen&known != 0 {
			s.refuse(m.key, codeDuplicate, nil)
		}
		start := m.pos
		end, c := skip(b, start, depth-1)
		if c != codeOK {
			return Envelope{ID: s.env.ID}, fault(b, "", end, c, depth)
		}
		m.pos = end
		v := b[start:end:end]
		first := s.seen&known == 0
		s.seen |= known
		switch known {
		case memberVersion:
			if !KeyIs(v, "2.0") {
				s.refuse(start, codeVersion, nil)
			}
		case memberID:
			if c := checkID(v); c != codeOK {
				s.refuse(start, c, nil)
			} else if first && delimited(b, end) {
				s.env.ID = v
			}
		case memberMethod:
			s.env.Method = v
			if v[0] != '"' {
				s.refuse(start, codeMethod, nil)
			} else if c := checkText(v); c != codeOK {
				s.refuse(start, c, nil)
			}
		case memberParams:
			s.env.Params = v
		case memberResult:
			s.env.Result = v
		case memberError:
			s.env.Error = v
		default:
			if !utf8.Valid(v) {
				s.refuse(start+firstInvalid(v), codeUTF8, nil)
			}
			s.extra(b[m.key:end:end])
		}
	}
	if m.fault != codeOK {
		return Envelope{ID: s.env.ID}, fault(b, "", m.pos, m.fault, nil)
	}
	if end := ws(b, m.pos); end != len(b) {
		return Envelope{ID: s.env.ID}, fault(b, "", end, codeTrailing, nil)
	}
	if s.manyKeys() {
		return Envelope{ID: s.env.ID}, s.fault
	}
	if s.fault == nil && s.seen&memberVersion == 0 {
		s.fault = fault(b, "", i, codeNoVersion, nil)
		s.fault.Path = "jsonrpc"
	}
	if s.fault != nil {
		return Envelope{ID: s.env.ID}, s.fault
	}
	return s.env, nil
}

// splitter is the state of one Split.
type splitter struct {
	b      []byte
	env    Envelope
	seen   int
	extras int
	keys   *keyset // of unknown members
	fault  *Fault  // the first; reading goes on, for the id
}

func (s *splitter) refuse(at int, c code, arg any) {
	if s.fault == nil {
		s.fault = fault(s.b, "", at, c, arg)
	}
}

// unusual handles a key that is not simply a known one. It returns the bit of
// the known key that it stands for, or 0.
func (s *splitter) unusual(start, end int, fl strFlags) int {
	if fl != 0 {
		if c := checkText(s.b[start:end]); c != codeOK {
			s.refuse(start, c, nil)
			return 0
		}
	}
	if s.keys == nil {
		s.keys = &keyset{b: s.b}
		s.keys.open()
	}
	if c := s.keys.add(start, end, fl); c != codeOK {
		s.refuse(start, c, nil)
		return 0
	}
	key := s.keys.last()
	if known := member(key); known != 0 {
		s.keys.n--
		return known
	}
	var buf [64]byte
	if folded, ok := foldKey(&buf, key); ok {
		if known := member(folded); known != 0 {
			s.refuse(start, codeCase, memberName(known))
		}
	}
	return 0
}

// manyKeys reports whether one of many unknown keys stands twice.
func (s *splitter) manyKeys() bool {
	if s.keys == nil {
		return false
	}
	at, dup := s.keys.close()
	if dup && (s.fault == nil || at < s.fault.Offset) {
		s.fault = fault(s.b, "", at, codeDuplicate, nil)
	}
	return dup
}

// extra records an unknown member.
func (s *splitter) extra(m []byte) {
	switch s.extras++; s.extras {
	case 1:
		s.env.Extra = m
		return
	case 2:
		s.env.Extra = append(make([]byte, 0, len(s.env.Extra)+len(m)+64), s.env.Extra...)
	}
	s.env.Extra = append(append(s.env.Extra, ','), m...)
}

// delimited reports whether a member ends at b[i]: the number of an id that is
// cut or malformed behind its first digits is another id.
func delimited(b []byte, i int) bool {
	i = ws(b, i)
	return i < len(b) && (b[i] == ',' || b[i] == '}')
}

// checkID applies the rules for an id or a token.
func checkID(v []byte) code {
	switch KindOf(v) {
	case Null:
		return codeOK
	case Str, Number:
		return checkScalar(v)
	}
	return codeID
}

// checkScalar applies the rules for exact text and numbers to a value that is
// one of these, and none to another.
func checkScalar(v []byte) code {
	switch KindOf(v) {
	case Str:
		return checkText(v)
	case Number:
		return checkNumber(v)
	}
	return codeOK
}

// checkNumber refuses a number that a 64-bit float cannot hold.
func checkNumber(v []byte) code {
	if len(v) <= 300 && bytes.IndexByte(v, 'e') < 0 && bytes.IndexByte(v, 'E') < 0 {
		return codeOK
	}
	if _, err := strconv.ParseFloat(string(v), 64); err != nil {
		return codeRange
	}
	return codeOK
}
