package scan

import "fmt"

// Severity ranks findings.
type Severity uint8

// The severities.
const (
	Low Severity = iota + 1
	Medium
	High
)

var severities = [...]string{"", "low", "medium", "high"}

// String returns low, medium or high.
func (s Severity) String() string {
	if int(s) < len(severities) {
		return severities[s]
	}
	return fmt.Sprintf("Severity(%d)", uint8(s))
}

// MarshalText implements [encoding.TextMarshaler].
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Severity) UnmarshalText(b []byte) error {
	for i, name := range severities {
		if i > 0 && name == string(b) {
			*s = Severity(i)
			return nil
		}
	}
	return fmt.Errorf("severity %q is none of low, medium and high", b)
}

// Action is what is asked for when a rule finds something. The scanner itself
// only obeys Off; who asked for the scan does the rest.
type Action uint8

// The actions.
const (
	ActionDefault Action = iota // left to who asked for the scan
	Off                         // the rule finds nothing
	Report                      // tell, and let pass
	Redact                      // replace the secret
	Block                       // stop the message
)

var actions = [...]string{"", "off", "report", "redact", "block"}

// String returns the action as configuration writes it, "" for the default.
func (a Action) String() string {
	if int(a) < len(actions) {
		return actions[a]
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// MarshalText implements [encoding.TextMarshaler].
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. It also reads "on",
// the default.
func (a *Action) UnmarshalText(b []byte) error {
	if string(b) == "on" {
		*a = ActionDefault
		return nil
	}
	for i, name := range actions {
		if name == string(b) {
			*a = Action(i)
			return nil
		}
	}
	return fmt.Errorf("action %q is none of on, off, report, redact and block", b)
}

// KnownSecret is the rule of findings of values that the scanner was told of
// with [Scanner.Learn].
const KnownSecret = "known-secret"

// Finding says where a secret lies, and never what it is.
type Finding struct {
	Rule string // the rule's id

	// Path is the place in JSON: $.arguments.token, $.content[0].text,
	// $['odd key']. It names a leaf of the document itself, also when the
	// secret lies deeper, in JSON or base64 that the leaf's string holds. It
	// is empty in text.
	Path string

	// Start and End are the span in the bytes that were scanned: of the secret
	// as it stands there, escapes and all, or of the whole run that had to be
	// decoded from base64, hex or percent encoding.
	Start, End int

	Severity Severity

	// Fingerprint is a keyed hash of the secret, 16 hex digits: equal for
	// equal secrets under one scanner, and of no use without its key.
	Fingerprint string

	// Action is what the rule's setting asks for.
	Action Action

	// Via says how the secret was decoded, outermost first, such as "json
	// base64"; empty when it stood there as it is.
	Via string
}
