// Package scan finds secrets in messages: keys of some hundred services,
// private keys, passwords in addresses, headers, command lines and under the
// names of keys, and every value it was told of.
//
//	s, err := scan.New(nil)
//	for _, f := range s.Scan(nil, message) {
//		log.Printf("%s at %s", f.Rule, f.Path)
//	}
//	clean := s.Redact(message, s.Scan(nil, message))
//
// # How it looks
//
// An automaton finds the keywords of all rules in one pass. The expression of
// a rule runs only on a window around its keywords, and only when that window
// holds a run of characters as long as the expression needs. A rule for the
// names of keys needs no expression: the value of the key is the secret. What
// was found has to pass the rule's entropy and check of structure (checksums
// of tokens, the header of a JSON Web Token, the frame of a private key), and
// must be no placeholder, mask, example or reference.
//
// Messages hide things in layers. The strings of JSON are read without their
// escapes, JSON in strings as JSON; base64 in both alphabets, hex and percent
// encoding are decoded where text comes out; all of it again in what was
// decoded, Options.MaxDepth times. The texts of content blocks are also read
// end to end. A finding tells where it lies in the message as it came, so
// that [Scanner.Redact] leaves the rest untouched.
//
// # Rules
//
// Rules are data: see [Rule] for the fields and [ReadRules] for the file. The
// built-in set ([Default]) is a starting point to add to:
//
//	mine, err := scan.ReadRules(file)
//	s, err := scan.New(&scan.Options{Rules: append(scan.Default(), mine...)})
//
// Settings turn rules off, or say by rule what a guard does; Allow leaves out
// findings by rule, place, tool or the hash of the value.
//
// # Known values
//
// [Scanner.Learn] has it find a value whatever it looks like, also in base64,
// hex and percent encoding and as a part of more. A value that is [Weak]
// cannot be looked for like that, since it would redact half the traffic: it
// is found only as a whole leaf under the key it is given with.
//
// # Limits
//
// Time grows linearly with the input, whatever it holds. Compressed data,
// images and encryption are not looked into. A secret of no known form under
// no telling name is not found.
package scan
