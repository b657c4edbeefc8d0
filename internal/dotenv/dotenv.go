// Package dotenv reads and changes files of NAME=VALUE lines, as shells,
// Docker and many tools write them (.env).
//
//	doc, err := dotenv.Parse(data)
//	value, ok := doc.Get("TOKEN")
//	err = doc.Set("TOKEN", "new")
//	data = doc.Bytes() // comments and order are as they were
//
// A name is anything without spaces, quotes, # and =, so that github.token
// is one; "export " may stand before it. A value is one of
//
//	NAME=plain text   # up to a # behind a space; spaces around it are dropped
//	NAME='as it is'
//	NAME="with \n \r \t \" \\ \$ as escapes"
//
// The quoted ones may run over several lines. No $VARIABLE is replaced: what
// looks like one is part of a secret. A name that stands twice is a fault,
// since tools do not agree on which of the two counts.
//
// Errors name lines, never what stands in them.
package dotenv

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Document is a parsed file. It is not safe for concurrent use.
type Document struct{ parts []part }

// part is an assignment, or text between two (name is empty, text is all).
type part struct {
	text        string // up to the value
	name, value string
	raw         string // the value as it is written
	rest        string // behind it, with the end of the line
	line        int
}

// Parse reads a file.
func Parse(data []byte) (*Document, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("it is not UTF-8 text")
	}
	if slices.Contains(data, 0) {
		return nil, errors.New("it holds a NUL byte")
	}
	d := &Document{}
	s, line := string(data), 1
	if bom, ok := strings.CutPrefix(s, "\ufeff"); ok {
		d.parts, s = append(d.parts, part{text: "\ufeff"}), bom
	}
	for s != "" {
		p, n, err := next(s)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		p.line = line
		if p.name != "" {
			if first := d.find(p.name); first >= 0 {
				return nil, fmt.Errorf("%s stands in line %d and again in line %d: remove one", p.name, d.parts[first].line, line)
			}
		}
		d.parts = append(d.parts, p)
		line += strings.Count(s[:n], "\n")
		s = s[n:]
	}
	return d, nil
}

// next reads the part that s begins with, and returns its length.
func next(s string) (part, int, error) {
	end := strings.IndexByte(s, '\n') + 1
	if end == 0 {
		end = len(s)
	}
	line := s[:end]
	trimmed := strings.TrimSpace(line)
	if trimmed == "" || trimmed[0] == '#' {
		return part{text: line}, end, nil
	}
	before, _, ok := strings.Cut(line, "=")
	if !ok {
		return part{}, 0, errors.New("there is no = in it: write NAME=VALUE")
	}
	name := strings.TrimSpace(before)
	if rest, ok := strings.CutPrefix(name, "export"); ok && rest != "" && unicode.IsSpace(rune(rest[0])) {
		name = strings.TrimSpace(rest)
	}
	if err := CheckName(name); err != nil {
		return part{}, 0, err
	}
	at := len(before) + 1
	for at < len(line) && (line[at] == ' ' || line[at] == '\t') {
		at++
	}
	p := part{text: s[:at], name: name}
	if at < len(line) && (line[at] == '"' || line[at] == '\'') {
		return quoted(p, s, at)
	}
	raw := strings.TrimRight(line[at:], "\r\n")
	if i := comment(raw, line[:at]); i >= 0 {
		raw = raw[:i]
	}
	p.raw = strings.TrimRightFunc(raw, unicode.IsSpace)
	p.value, p.rest = p.raw, line[at+len(p.raw):]
	return p, end, nil
}

// comment finds where a comment begins in an unquoted value; -1: nowhere.
func comment(raw, before string) int {
	if raw != "" && raw[0] == '#' && before[len(before)-1] != '=' {
		return 0
	}
	for i := 1; i < len(raw); i++ {
		if raw[i] == '#' && (raw[i-1] == ' ' || raw[i-1] == '\t') {
			return i
		}
	}
	return -1
}

// quoted reads the value that begins with the quotation mark s[at].
func quoted(p part, s string, at int) (part, int, error) {
	mark := s[at]
	var b strings.Builder
	i := at + 1
	for ; ; i++ {
		if i >= len(s) {
			return part{}, 0, fmt.Errorf("the value of %s has no closing %c", p.name, mark)
		}
		c := s[i]
		if c == mark {
			break
		}
		if c != '\\' || mark == '\'' || i+1 == len(s) {
			b.WriteByte(c)
			continue
		}
		i++
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case '"', '\\', '$':
			b.WriteByte(s[i])
		default:
			b.WriteByte('\\')
			b.WriteByte(s[i])
		}
	}
	i++
	end := strings.IndexByte(s[i:], '\n') + 1 + i
	if end == i {
		end = len(s)
	}
	p.value, p.raw, p.rest = b.String(), s[at:i], s[i:end]
	if after := strings.TrimSpace(p.rest); after != "" && after[0] != '#' {
		return part{}, 0, fmt.Errorf("something stands behind the closing %c of %s: put a space and # before a comment", mark, p.name)
	}
	return p, end, nil
}

// CheckName says what is wrong with a name. It does not show it: in a broken
// line it may be part of a secret.
func CheckName(name string) error {
	if name == "" {
		return errors.New("there is no name before the =")
	}
	for _, r := range name {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`"'#=`+"`", r) {
			return errors.New("the name before the = holds a space, a quotation mark or another character that no name has")
		}
	}
	if !utf8.ValidString(name) {
		return errors.New("the name is not UTF-8 text")
	}
	return nil
}

func (d *Document) find(name string) int {
	return slices.IndexFunc(d.parts, func(p part) bool { return p.name == name && name != "" })
}

// Get returns a value.
func (d *Document) Get(name string) (string, bool) {
	i := d.find(name)
	if i < 0 {
		return "", false
	}
	return d.parts[i].value, true
}

// Names lists the names, sorted.
func (d *Document) Names() []string {
	var names []string
	for _, p := range d.parts {
		if p.name != "" {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return names
}

// Set adds a value at the end, or replaces it where it stands.
func (d *Document) Set(name, value string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if !utf8.ValidString(value) || strings.Contains(value, "\x00") {
		return errors.New("the value is no text: it holds a NUL byte or is not UTF-8")
	}
	if i := d.find(name); i >= 0 {
		p := &d.parts[i]
		p.raw, p.value = quote(value), value
		if strings.HasPrefix(p.rest, "#") {
			p.rest = " " + p.rest
		}
		return nil
	}
	if name == "export" || strings.HasPrefix(name, "\ufeff") {
		return errors.New("no variable can have this name")
	}
	if n := len(d.parts); n > 0 {
		last := &d.parts[n-1]
		switch whole := last.text + last.raw + last.rest; {
		case whole == "\ufeff", strings.HasSuffix(whole, "\n"):
		case last.name == "":
			last.text += "\n"
		default:
			last.rest += "\n"
		}
	}
	d.parts = append(d.parts, part{text: name + "=", name: name, value: value, raw: quote(value), rest: "\n"})
	return nil
}

// Remove removes a value with its line, and reports whether it was there.
func (d *Document) Remove(name string) bool {
	i := d.find(name)
	if i < 0 {
		return false
	}
	d.parts = slices.Delete(d.parts, i, i+1)
	return true
}

// Bytes writes the document.
func (d *Document) Bytes() []byte {
	var b []byte
	for _, p := range d.parts {
		b = append(b, p.text...)
		b = append(b, p.raw...)
		b = append(b, p.rest...)
	}
	return b
}

// quote writes a value as plainly as all readers of such files understand.
func quote(value string) string {
	plain := func(r rune) bool {
		return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_-./:@%+,=", r))
	}
	switch {
	case strings.IndexFunc(value, func(r rune) bool { return !plain(r) }) < 0:
		return value
	case !strings.ContainsAny(value, "'\r\n\t"):
		return "'" + value + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(value) + `"`
}
