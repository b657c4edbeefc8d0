// Package guard is the interceptor that keeps secrets out of messages: it
// looks for them in whatever passes, in both directions, with package scan.
//
//	g, err := guard.New(nil)
//	gw, err := gateway.New(&gateway.Options{Interceptors: []interceptor.Interceptor{g}, …})
//
// A gateway has one already, unless it is made without its baseline; listing
// one's own replaces that one.
//
// # What is done
//
// A message on its way to a server (a call of a tool, the answer to a
// question of the server's) that holds a secret is blocked: it does not reach
// the server, and the sender gets an error that names the rule, the place and
// what to do. In a message on its way to a client (a result, an error, a
// notification, a question of the server's) the secret is replaced by
// [redacted:RULE]; the rest arrives, and the message stays valid. Entries of
// lists are treated like results, once for each entry and not for each
// request; one whose name or URI holds a secret is taken off the list.
//
// Both are defaults. Options.Calls and Options.Results change them, a
// [Choice] does so for some servers, tools, principals or rules; the
// settings of a rule itself (see [scan.Options]) stand between the two. To
// begin, report without touching anything:
//
//	interceptor.Monitor(g, func(_ context.Context, d interceptor.Decision) { … })
//
// or set the actions to [scan.Report].
//
// # What it knows
//
// Beside the rules of its scanner, the guard knows every secret that the
// gateway hands to servers ([interceptor.Learner]), and finds those whatever
// they look like.
package guard
