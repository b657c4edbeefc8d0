package rawjson

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// strFlags says what scanString met. The low byte is the code of a fault.
type strFlags uint16

const (
	flagEscape strFlags = 1 << 8 // the string has a backslash
	flagHigh   strFlags = 1 << 9 // the string has bytes above 0x7f
)

func (f strFlags) bad() bool  { return f&0xff != 0 }
func (f strFlags) code() code { return code(f & 0xff) }

// The constants of the eight-bytes-at-a-time loops.
const (
	lsb = 0x0101010101010101
	msb = 0x8080808080808080
)

// special marks, in the high bit of its byte, the first byte of x that ends a
// run of plain text: a quote, a backslash or a control character. The bits of
// later bytes mean nothing. (x^2 sends the quote to 0x20 and keeps control
// characters below it, so that one comparison finds both.)
func special(x uint64) uint64 {
	return (((x ^ lsb*0x02) - lsb*0x21) | ((x ^ lsb*'\\') - lsb)) &^ x & msb
}

// shortString returns the index behind the string at b[i] when it is one of
// at most eight bytes of plain ASCII, as most keys are, and otherwise 0.
func shortString(b []byte, i int) int {
	if i+10 > len(b) {
		return 0
	}
	n := plainBytes(binary.LittleEndian.Uint64(b[i+1:]))
	if b[i+1+n] != '"' {
		return 0
	}
	return i + 2 + n
}

// plainBytes returns how many bytes of plain ASCII x begins with.
func plainBytes(x uint64) int {
	return bits.TrailingZeros64((((x^lsb*0x02)-lsb*0x21)|((x^lsb*'\\')-lsb)|x)&msb) >> 3
}

// scanString returns the index behind the string whose opening quote is
// b[i]. On a fault it returns the place, and the flags hold the code.
func scanString(b []byte, i int) (int, strFlags) {
	i++
	var fl strFlags
	var high uint64
	for {
		// Short runs go by eight bytes, what turns out long by 32.
		for long := i + 32; i+8 <= len(b); {
			x := binary.LittleEndian.Uint64(b[i:])
			if m := special(x); m != 0 {
				high |= x & (m&-m - 1)
				i += bits.TrailingZeros64(m) >> 3
				goto hit
			}
			high |= x
			if i += 8; i < long {
				continue
			}
			if high&msb == 0 {
				i += asciiRun(b[i:])
			} else {
				i += plainRun(b[i:])
			}
			long = i + 32
		}
		for ; i < len(b); i++ {
			c := b[i]
			if c == '"' || c == '\\' || c < ' ' {
				goto hit
			}
			high |= uint64(c)
		}
		return i, strFlags(codeEnd)
	hit:
		switch b[i] {
		case '"':
			if high&msb != 0 {
				fl |= flagHigh
			}
			return i + 1, fl
		case '\\':
			fl |= flagEscape
			if i+1 >= len(b) {
				return i, strFlags(codeEnd)
			}
			switch b[i+1] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				i += 2
			case 'u':
				if _, ok := hex4(b, i+2); !ok {
					return i, strFlags(codeEscape)
				}
				i += 6
			default:
				return i, strFlags(codeEscape)
			}
		default:
			return i, strFlags(codeControl)
		}
	}
}

// asciiRun returns the length, in steps of 32 bytes, of the run of ASCII
// text without quotes, backslashes and control characters that s begins with.
//
// Once a run is long, it goes by windows in which IndexByte looks for the
// first two. That is a quarter faster, and the window that ends it costs no
// more than the run has cost before.
func asciiRun(s []byte) int {
	const window = 2048
	n := asciiSteps(s[:min(len(s), window)])
	if n < window {
		return n
	}
	for len(s)-n >= window && asciiWindow(s[n:n+window]) {
		n += window
	}
	return n + asciiSteps(s[n:])
}

func asciiSteps(s []byte) int {
	n := 0
	for len(s) >= 32 {
		x0 := binary.LittleEndian.Uint64(s)
		x1 := binary.LittleEndian.Uint64(s[8:])
		x2 := binary.LittleEndian.Uint64(s[16:])
		x3 := binary.LittleEndian.Uint64(s[24:])
		m0 := ((x0 ^ lsb*0x02) - lsb*0x21) | ((x0 ^ lsb*'\\') - lsb) | x0
		m1 := ((x1 ^ lsb*0x02) - lsb*0x21) | ((x1 ^ lsb*'\\') - lsb) | x1
		m2 := ((x2 ^ lsb*0x02) - lsb*0x21) | ((x2 ^ lsb*'\\') - lsb) | x2
		m3 := ((x3 ^ lsb*0x02) - lsb*0x21) | ((x3 ^ lsb*'\\') - lsb) | x3
		if (m0|m1|m2|m3)&msb != 0 {
			break
		}
		n += 32
		s = s[32:]
	}
	return n
}

func asciiWindow(s []byte) bool {
	if bytes.IndexByte(s, '"') >= 0 || bytes.IndexByte(s, '\\') >= 0 {
		return false
	}
	var m uint64
	for len(s) >= 32 {
		x0 := binary.LittleEndian.Uint64(s)
		x1 := binary.LittleEndian.Uint64(s[8:])
		x2 := binary.LittleEndian.Uint64(s[16:])
		x3 := binary.LittleEndian.Uint64(s[24:])
		m |= (x0 - lsb*' ') | x0 | (x1 - lsb*' ') | x1 | (x2 - lsb*' ') | x2 | (x3 - lsb*' ') | x3
		s = s[32:]
	}
	return m&msb == 0
}

// plainRun is asciiRun for text that may hold bytes above 0x7f.
func plainRun(s []byte) int {
	n := 0
	for len(s) >= 32 {
		m := special(binary.LittleEndian.Uint64(s)) |
			special(binary.LittleEndian.Uint64(s[8:])) |
			special(binary.LittleEndian.Uint64(s[16:])) |
			special(binary.LittleEndian.Uint64(s[24:]))
		if m != 0 {
			break
		}
		n += 32
		s = s[32:]
	}
	return n
}

// hex4 reads four hexadecimal digits at b[i].
func hex4(b []byte, i int) (rune, bool) {
	if i+4 > len(b) {
		return 0, false
	}
	var r rune
	for _, c := range b[i : i+4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20-'a' <= 5:
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// firstInvalid returns the index of the first byte that is not part of a
// UTF-8 sequence.
func firstInvalid(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return len(b)
}

// unescape appends the text of a string without its quotes to dst. A lone
// surrogate becomes U+FFFD, as most decoders have it, and strict is false.
// The escapes must be well formed. Raw bytes are copied as they are.
func unescape(dst, s []byte) (text []byte, strict bool) {
	strict = true
	for {
		n := bytes.IndexByte(s, '\\')
		if n < 0 || n+1 >= len(s) {
			return append(dst, s...), strict
		}
		dst = append(dst, s[:n]...)
		c := s[n+1]
		s = s[n+2:]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r, ok := hex4(s, 0)
			if !ok {
				return dst, false
			}
			s = s[4:]
			if utf16.IsSurrogate(r) {
				low := rune(0)
				if len(s) >= 6 && s[0] == '\\' && s[1] == 'u' {
					low, _ = hex4(s, 2)
				}
				if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
					strict = false
				} else {
					s = s[6:]
				}
			}
			dst = utf8.AppendRune(dst, r)
			continue
		}
		dst = append(dst, c)
	}
}

// checkText applies the rules for text that is compared or routed by: valid
// UTF-8, no lone surrogate, no NUL. raw is a well-formed string with its
// quotes.
func checkText(raw []byte) code {
	if !utf8.Valid(raw) {
		return codeUTF8
	}
	for s := raw; ; {
		n := bytes.IndexByte(s, '\\')
		if n < 0 || n+2 > len(s) {
			return codeOK
		}
		if s[n+1] != 'u' {
			s = s[n+2:]
			continue
		}
		r, _ := hex4(s, n+2)
		s = s[n+6:]
		switch {
		case r == 0:
			return codeNUL
		case utf16.IsSurrogate(r):
			low := rune(0)
			if len(s) >= 6 && s[0] == '\\' && s[1] == 'u' {
				low, _ = hex4(s, 2)
			}
			if utf16.DecodeRune(r, low) == utf8.RuneError {
				return codeSurrogate
			}
			s = s[6:]
		}
	}
}

// String decodes a JSON string. It reports false when v is anything else, or
// holds a lone surrogate or invalid UTF-8: text that two readers could take
// for different strings. White space around the string is allowed.
func String(v []byte) (string, bool) {
	i := ws(v, 0)
	if i >= len(v) || v[i] != '"' {
		return "", false
	}
	end, fl := scanString(v, i)
	if fl.bad() || ws(v, end) != len(v) {
		return "", false
	}
	inner := v[i+1 : end-1]
	if fl&flagHigh != 0 && !utf8.Valid(inner) {
		return "", false
	}
	if fl&flagEscape == 0 {
		return string(inner), true
	}
	var buf [128]byte
	text, strict := unescape(buf[:0], inner)
	if !strict {
		return "", false
	}
	return string(text), true
}

// KeyIs reports whether a raw key, quotes included, spells s, with or without
// escapes.
func KeyIs(rawKey []byte, s string) bool {
	if len(rawKey) < len(s)+2 || rawKey[0] != '"' || rawKey[len(rawKey)-1] != '"' {
		return false
	}
	inner := rawKey[1 : len(rawKey)-1]
	// An escape is longer than what it stands for, so texts of one length
	// are equal only without any.
	if len(inner) == len(s) {
		return string(inner) == s && bytes.IndexByte(inner, '\\') < 0
	}
	if len(inner) > 6*len(s) || bytes.IndexByte(inner, '\\') < 0 {
		return false
	}
	if end, fl := scanString(rawKey, 0); fl.bad() || end != len(rawKey) {
		return false
	}
	var buf [128]byte
	text, strict := unescape(buf[:0], inner)
	return strict && string(text) == s
}

const hexDigits = "0123456789abcdef"

// AppendString appends s to dst as a JSON string. Any s gives a valid one:
// what is not UTF-8 becomes U+FFFD. Only what must be is escaped: the quote,
// the backslash, control characters, and U+2028 and U+2029, which end a line
// for some readers.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		if i+8 <= len(s) {
			if n := plainBytes(load8(s[i : i+8])); n > 0 {
				i += n
				continue
			}
		}
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			dst = appendEscape(dst, c)
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(dst, s[start:i]...)
			dst = append(dst, "\ufffd"...)
			start = i + n
		case r == '\u2028' || r == '\u2029':
			dst = append(dst, s[start:i]...)
			dst = append(dst, '\\', 'u', '2', '0', '2', hexDigits[r&15])
			start = i + n
		}
		i += n
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// load8 is binary.LittleEndian.Uint64 for a string.
func load8(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// Quote returns s as a JSON string, as [AppendString] writes it.
func Quote(s string) json.RawMessage {
	return AppendString(make([]byte, 0, len(s)+2), s)
}
