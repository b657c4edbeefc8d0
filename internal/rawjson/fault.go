package rawjson

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Rule names what a [Fault] is about.
type Rule string

// The rules.
const (
	RuleSyntax    Rule = "syntax"              // not JSON
	RuleEnvelope  Rule = "envelope"            // not a JSON-RPC 2.0 message
	RuleDuplicate Rule = "duplicate-key"       // a key stands twice in one object
	RuleCase      Rule = "case-variant-key"    // a key is a known one but for its case
	RuleUTF8      Rule = "invalid-utf8"        // bytes that are not UTF-8
	RuleText      Rule = "forbidden-character" // NUL or a lone surrogate in text that must be exact
	RuleNumber    Rule = "number-out-of-range" // an id or token beyond a 64-bit float
	RuleDepth     Rule = "depth"               // nested too deeply
)

// Fault says which rule a text breaks, and where. It holds no values of the
// text, which may be secret; keys are quoted and cut to 64 bytes.
type Fault struct {
	Rule   Rule
	Path   string // the place, such as params.arguments.a[2]; empty for the whole text
	Offset int    // in bytes, from the start of what was checked
	Detail string // what is wrong, and what to do
}

// Error gives the rule, the place and what to do on one line.
func (f *Fault) Error() string {
	place := f.Path
	if place == "" {
		place = "the top level"
	}
	return fmt.Sprintf("%s: %s (byte %d): %s", f.Rule, place, f.Offset, f.Detail)
}

// code is a fault as the scanners report it.
type code uint8

const (
	codeOK code = iota
	codeEnd
	codeValue
	codeKey
	codeColon
	codeMember
	codeElement
	codeControl
	codeEscape
	codeNumber
	codeLiteral
	codeTrailing
	codeDepth
	codeDuplicate
	codeCase
	codeFold
	codeUTF8
	codeNUL
	codeSurrogate
	codeRange
	codeObject
	codeVersion
	codeNoVersion
	codeID
	codeMethod
	codeParams
)

var details = [...]struct {
	rule   Rule
	detail string
}{
	codeEnd:       {RuleSyntax, "the text ends within a value; send the whole value"},
	codeValue:     {RuleSyntax, "a value is missing here; put a JSON value"},
	codeKey:       {RuleSyntax, "a key in double quotes is missing here"},
	codeColon:     {RuleSyntax, "a colon is missing after the key"},
	codeMember:    {RuleSyntax, "a comma or } is missing after the member"},
	codeElement:   {RuleSyntax, "a comma or ] is missing after the element"},
	codeControl:   {RuleSyntax, `a control character stands in a string; escape it (\u00XX)`},
	codeEscape:    {RuleSyntax, `a malformed escape stands in a string; use one of \" \\ \/ \b \f \n \r \t \uXXXX`},
	codeNumber:    {RuleSyntax, "malformed number; write it as JSON has it (no leading zero or plus, digits on both sides of the point)"},
	codeLiteral:   {RuleSyntax, "unknown word; only true, false and null stand without quotes"},
	codeTrailing:  {RuleSyntax, "text follows the value; send exactly one value"},
	codeDepth:     {RuleDepth, "nested deeper than the limit of %d levels; flatten the value"},
	codeDuplicate: {RuleDuplicate, "the key stands twice in its object; send it once"},
	codeFold:      {RuleCase, "the key equals another of its object but for its case; send one of them"},
	codeCase:      {RuleCase, "the key equals %q but for its case; spell it so or drop it"},
	codeUTF8:      {RuleUTF8, "bytes that are not UTF-8; encode the text as UTF-8"},
	codeNUL:       {RuleText, `the text holds a NUL (\u0000); remove it`},
	codeSurrogate: {RuleText, `the text holds half of a surrogate pair (\ud800 to \udfff); remove it or send both halves`},
	codeRange:     {RuleNumber, "the number is beyond the range of a 64-bit float; send a smaller one or a string"},
	codeObject:    {RuleEnvelope, "the message is not an object; send one JSON-RPC 2.0 object"},
	codeVersion:   {RuleEnvelope, `the value is not "2.0"; send "jsonrpc":"2.0"`},
	codeNoVersion: {RuleEnvelope, `the member is missing; send "jsonrpc":"2.0"`},
	codeID:        {RuleEnvelope, "the id is not a string, number or null; send one of these"},
	codeMethod:    {RuleEnvelope, "the method is not a string; send its name"},
	codeParams:    {RuleEnvelope, "params is not an object; send an object"},
}

// fault describes the fault c at offset at of b, whose root is called root.
// arg fills the placeholder of the detail, if there is one.
func fault(b []byte, root string, at int, c code, arg any) *Fault {
	d := details[c]
	f := &Fault{Rule: d.rule, Path: pathAt(b, root, at), Offset: at, Detail: d.detail}
	if arg != nil && strings.Contains(d.detail, "%") {
		f.Detail = fmt.Sprintf(d.detail, arg)
	}
	return f
}

// pathAt names the place of offset at in b. What lies before it is well
// formed.
func pathAt(b []byte, root string, at int) string {
	type step struct {
		key   []byte // raw, of the current member
		index int    // of the current element; -1 in an object
		named bool   // the key of the current member has been read
	}
	var steps []step
	for i := 0; i < len(b) && i <= at; {
		top := len(steps) - 1
		switch b[i] {
		case '"':
			end, fl := scanString(b, i)
			if fl.bad() {
				end = len(b)
			} else if top >= 0 && steps[top].index < 0 && !steps[top].named {
				steps[top].key, steps[top].named = b[i:end], true
			}
			i = end
			continue
		case '{', '[':
			if i < at {
				index := 0
				if b[i] == '{' {
					index = -1
				}
				steps = append(steps, step{index: index})
			}
		case '}', ']':
			if i < at && top >= 0 {
				steps = steps[:top]
			}
		case ',':
			if i < at && top >= 0 {
				steps[top].named = false
				if steps[top].index >= 0 {
					steps[top].index++
				}
			}
		}
		i++
	}
	// Of a deep path the two ends are enough to find the place.
	const ends = 8
	var p strings.Builder
	p.WriteString(root)
	for n, s := range steps {
		if len(steps) > 2*ends && n >= ends && n < len(steps)-ends {
			if n == ends {
				p.WriteString("[…]")
			}
			continue
		}
		switch {
		case s.index >= 0:
			p.WriteByte('[')
			p.WriteString(strconv.Itoa(s.index))
			p.WriteByte(']')
		case s.named:
			writeKey(&p, s.key)
		}
	}
	return p.String()
}

// writeKey writes .key for a plain key and ["key"] for another.
func writeKey(p *strings.Builder, raw []byte) {
	text, _ := unescape(nil, raw[1:len(raw)-1])
	key := shorten(string(text))
	plain := key != ""
	for _, c := range []byte(key) {
		plain = plain && (c == '_' || c == '$' || c == '-' || c-'0' <= 9 || c|0x20-'a' <= 25)
	}
	switch {
	case !plain:
		p.WriteByte('[')
		p.WriteString(strconv.QuoteToASCII(key))
		p.WriteByte(']')
	default:
		if p.Len() > 0 {
			p.WriteByte('.')
		}
		p.WriteString(key)
	}
}

// shorten cuts a key to 64 bytes.
func shorten(key string) string {
	const most = 64
	if len(key) <= most {
		return key
	}
	cut := most - len("…")
	for cut > 0 && !utf8.RuneStart(key[cut]) {
		cut--
	}
	return key[:cut] + "…"
}
