// Package secretset makes the project's labelled set for scanners of secrets:
// payloads of the Model Context Protocol that hold one secret each, and
// payloads that hold none but look as if they did. It says how much a scanner
// finds, and how often it cries wolf; the numbers in the documentation come
// from it.
//
// Nothing in it was ever a credential. Every value is made at run time, from
// the format that its vendor published: prefix, alphabet, length, and where
// the format has one a valid checksum, a real signature, a real key. So the
// repository holds no string that a scanner of repositories would report, and
// a scanner under test can check what it wants to check.
//
//	for _, s := range secretset.Secrets(secretset.Seed) {
//		// s.JSON holds s.Secret, at s.Shown; s.Kind says what it is
//	}
//	for _, n := range secretset.Negatives(secretset.Seed) {
//		// a finding in n.JSON is false; n.Kind is the category
//	}
//
// The same seed gives the same set; another seed gives other values in other
// payloads, from the same formats.
//
// # Secrets
//
// A kind belongs to a tier, by what gives the secret away:
//
//	prefix   its own form: a prefix that nothing else has, or a structure
//	context  a word of the vendor nearby; by itself it is only hex or base64
//	generic  the name of its key: password, client_secret, signing key
//	conn     its place in a connection string, a URL, a header, a file of credentials
//	key      a private key
//
// Each secret is wrapped in a form in which it travels (prose, a JSON field, a
// line of a .env file, a shell command, a nested JSON document, base64 …) and
// then put where a client or a server would send it: arguments of a call, text
// or structured content of a result, a resource, a prompt, a log message, the
// data of an error.
//
// # Negatives
//
// They are what MCP servers return all day: identifiers, cursors, digests,
// lock files, certificates, placeholders, template references, code that reads
// a secret from the environment, prose about passwords. Kind is the category.
//
// # The held part
//
// A quarter of the kinds of secrets, and of the negatives, has Held set. Rules
// are not tuned on it: whoever writes rules looks only at the other samples,
// and what is found in the held part says how the rules do on what nobody has
// looked at. See TestPrint, which leaves it out:
//
//	go test ./internal/secretset -run TestPrint -args -print
//
// # Traffic
//
// [Issues] makes clean input for measurements of speed.
//
// # Scores
//
// [Judge] runs a scanner over samples, [Table] prints how it did.
package secretset
