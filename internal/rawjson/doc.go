// Package rawjson reads, checks and patches JSON without decoding it.
//
// A gateway passes most of what it sees on. Decoding and encoding again costs
// time, and loses what the gateway does not know: unknown members, the digits
// of a large integer, the spelling of a string. The functions here work on the
// bytes as they came. What they return aliases their input unless their
// comment says otherwise, and a patched document differs from the original
// only at the place of the patch.
//
// The parts:
//
//   - [Split] cuts a JSON-RPC message into its members and validates it as a
//     whole: what it accepts can be embedded in another document.
//   - [CheckParams] makes sure that every reader of the params of a request
//     reads the same thing: no key twice, no key that some decoders take for
//     another one, no broken text where names are compared.
//   - [Valid], [KindOf], [Get], [Each], [KeyIs] and [String] read.
//   - [AppendString] and [Quote] write strings.
//   - [Set], [Delete] and [Apply] patch.
//   - [Compact] makes a value fit on one line, [Canonical] makes it comparable.
//
// The refusals of Split, CheckParams, Valid and Canonical are [*Fault]s: the
// rule that was broken, the place, and what to do. A fault never holds a
// value, only keys.
//
// Nothing here recurses on its input, so that no nesting can exhaust the
// stack, and every function takes time linear in its input (times the
// logarithm of the number of keys for objects with many keys). No function
// keeps or changes its input, so all of them may be called at once from
// several goroutines.
package rawjson
