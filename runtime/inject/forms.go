package inject

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// A form is one way to write a value. Each of its characters may be escaped.
type form struct {
	kind  kind
	text  string
	owner int // of the placeholder that takes its place
}

type kind uint8

const (
	plain     kind = iota
	base64ish      // of either alphabet, in lines or not
	hexadecimal
)

// forms are all ways to write a value that are known here.
func forms(value string, owner int) []form {
	all := []form{
		{plain, value, owner},
		{plain, utf16(value, true), owner}, {plain, utf16(value, false), owner},
		{hexadecimal, hex.EncodeToString([]byte(value)), owner},
	}
	// In base64 a value looks different by what stands before it. What depends
	// on the bytes before and after is left out.
	for before, skip := range []int{0, 2, 3} {
		text := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + value))
		all = append(all, form{base64ish, text[skip : (before+len(value))*8/6], owner})
	}
	return all
}

func utf16(s string, littleEndian bool) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if littleEndian {
			b.WriteByte(c)
			b.WriteByte(0)
		} else {
			b.WriteByte(0)
			b.WriteByte(c)
		}
	}
	return b.String()
}

// state is how far a text has been read as a form: before the character at
// pos, or within an escape of it.
type state struct {
	form int32
	pos  int32
	in   escape
	alt  uint8 // which of the alternatives an escape is of
	n    uint8 // how much of a word of an escape was read
}

// escape is a place within the escape of one character.
type escape uint8

const (
	none       escape = iota
	percent           // %, also %25 and so on, where URLs are nested
	percent2          // %2, which may become %25
	percentEnd        // the second digit is to come
	backslash         // \, any number of them, where strings are nested
	unicode           // \u, n zeros
	unicodeEnd
	hexByte // \x
	hexByteEnd
	quoted // =, of quoted-printable
	quotedEnd
	ampersand  // &, n letters of "amp;", where HTML is nested
	entity     // &#
	decimal    // n digits of the number
	hexEntity  // &#x
	hexDone    // both digits were read
	entityName // n letters of the name
	lineBreak  // between two characters of base64, or bytes of hex
)

// names are the entities that matter: those that encoders write.
var names = map[byte]string{
	'&': "amp;", '<': "lt;", '>': "gt;", '"': "quot;", '\'': "apos;", '/': "sol;", '=': "equals;", '+': "plus;",
}

const hexDigits = "0123456789abcdef"

// alternatives are the characters that may stand at a place of a form.
func (f form) alternatives(pos int32) (c [2]byte, n int) {
	c[0], n = f.text[pos], 1
	switch {
	case f.kind == plain && c[0] == ' ':
		c[1], n = '+', 2 // in queries and forms
	case f.kind == hexadecimal && c[0] >= 'a':
		c[1], n = c[0]-'a'+'A', 2
	case f.kind == base64ish && c[0] == '+':
		c[1], n = '-', 2
	case f.kind == base64ish && c[0] == '/':
		c[1], n = '_', 2
	}
	return c, n
}

// step reads one byte. It appends the states that it leads to; accepted tells
// whether one of them is the end of the form.
func (m *matcher) step(next []state, s state, b byte) (_ []state, accepted bool) {
	f := m.forms[s.form]
	c, alts := f.alternatives(s.pos)
	to := func(in escape, alt int, n uint8) {
		next = append(next, state{s.form, s.pos, in, uint8(alt), n})
	}
	done := func() {
		if int(s.pos)+1 == len(f.text) {
			accepted = true
			return
		}
		next = append(next, state{form: s.form, pos: s.pos + 1})
	}
	x := c[s.alt]
	is := func(digit byte) bool { return lower(b) == hexDigits[digit] }
	switch s.in {
	case none, lineBreak:
		for alt := range alts {
			if b == c[alt] {
				done()
			}
		}
		switch b {
		case '%':
			to(percent, 0, 0)
		case '\\':
			to(backslash, 0, 0)
		case '=':
			to(quoted, 0, 0)
		case '&':
			to(ampersand, 0, 0)
		}
		switch { // once, or \r\n
		case s.pos == 0:
		case f.kind == base64ish && s.n == 0 && b == '\r':
			to(lineBreak, 0, 2)
		case f.kind == base64ish && s.n != 1 && b == '\n',
			f.kind == hexadecimal && s.n == 0 && s.pos%2 == 0 && (b == ':' || b == '-' || b == ' '):
			to(lineBreak, 0, 1)
		}
	case percent:
		if b == '2' {
			to(percent2, 0, 0)
		}
		for alt := range alts {
			if lower(b) == hexDigits[c[alt]>>4] {
				to(percentEnd, alt, 0)
			}
		}
	case percent2:
		if b == '5' {
			to(percent, 0, 0)
		}
	case percentEnd, unicodeEnd, hexByteEnd, quotedEnd:
		if is(x & 0xf) {
			done()
		}
	case backslash:
		switch {
		case b == '\\':
			to(backslash, 0, 0)
		case b == 'u':
			to(unicode, 0, 0)
		case b == 'x':
			to(hexByte, 0, 0)
		}
		for alt := range alts {
			if brief, ok := short(c[alt]); ok && b == brief {
				done()
			}
		}
		if f.kind == base64ish && s.pos > 0 && (b == 'n' || b == 'r') {
			to(none, 0, 0)
		}
	case unicode:
		if b == '0' && s.n < 2 {
			to(unicode, 0, s.n+1)
		}
		for alt := range alts {
			if s.n == 2 && lower(b) == hexDigits[c[alt]>>4] {
				to(unicodeEnd, alt, 0)
			}
		}
	case hexByte:
		for alt := range alts {
			if lower(b) == hexDigits[c[alt]>>4] {
				to(hexByteEnd, alt, 0)
			}
		}
	case quoted:
		for alt := range alts {
			if lower(b) == hexDigits[c[alt]>>4] {
				to(quotedEnd, alt, 0)
			}
		}
	case ampersand:
		const again = "amp;"
		if b == again[s.n] {
			to(ampersand, 0, (s.n+1)%uint8(len(again)))
		}
		if s.n > 0 {
			break
		}
		if b == '#' {
			to(entity, 0, 0)
		}
		for alt := range alts {
			if name := names[c[alt]]; name != "" && b == name[0] {
				to(entityName, alt, 1)
			}
		}
	case entityName:
		if name := names[x]; b == name[s.n] {
			if int(s.n)+1 == len(name) {
				done()
			} else {
				to(entityName, int(s.alt), s.n+1)
			}
		}
	case entity:
		switch b {
		case 'x', 'X':
			to(hexEntity, 0, 0)
		case '0':
			to(entity, 0, 0)
		}
		for alt := range alts {
			if b == digits(c[alt])[0] {
				to(decimal, alt, 1)
			}
		}
	case decimal:
		switch number := digits(x); {
		case int(s.n) < len(number) && b == number[s.n]:
			to(decimal, int(s.alt), s.n+1)
		case int(s.n) == len(number) && b == ';':
			done()
		}
	case hexEntity:
		if s.n == 0 && b == '0' {
			to(hexEntity, 0, 0)
		}
		for alt := range alts {
			switch {
			case s.n == 0 && lower(b) == hexDigits[c[alt]>>4]:
				to(hexEntity, alt, 1)
			case s.n == 1 && int(s.alt) == alt && is(x&0xf):
				to(hexDone, alt, 0)
			}
		}
	case hexDone:
		if b == ';' {
			done()
		}
	}
	return next, accepted
}

func lower(b byte) byte {
	if b >= 'A' && b <= 'F' {
		return b - 'A' + 'a'
	}
	return b
}

// short is what stands for a character behind a backslash, if anything does.
func short(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= 0x80:
		return 0, false
	case c == '\n':
		return 'n', true
	case c == '\r':
		return 'r', true
	case c == '\t':
		return 't', true
	}
	return c, true
}

func digits(c byte) string {
	var b [3]byte
	i := len(b)
	for {
		i--
		b[i] = '0' + c%10
		if c /= 10; c == 0 {
			return string(b[i:])
		}
	}
}
