// Package inject gives a confined server the use of secrets without the
// secrets: it makes placeholders, and the hooks by which the proxy of the
// server's network (runtime/egress) puts the values into requests and takes
// them out of responses. The drivers that confine use it; a program that
// embeds the library needs only runtime.Spec.Secrets.
//
//	set, err := inject.New(ctx, spec, nil)
//	set.Attach(&attachment) // then proxy.Attach
//	env := set.Env()        // placeholders, and the paths of files
//	files := set.Files()
//
// # Requests
//
// The value takes the place of the placeholder in a request over TLS to a host
// that the secret is bound to, in the one part of the request that the binding
// names, and with the methods and paths that it allows. Values are resolved for
// each request, so that one that was rotated is used at once. A placeholder
// anywhere else is sent as it is, since it is worth nothing; where the gate can
// read the request, that is told (runtime.Events.Injection). What is said to
// other hosts over TLS is not read by anybody here.
//
// # Responses
//
// In all that a bound host answers, header, body and trailers, the values are
// put back to their placeholders: as they are, in base64 of either alphabet, in
// hex, and with escapes of URLs, JSON, HTML, quoted-printable and UTF-16, so
// that an echo does not give them away. So are values that were in use before,
// and what each reference in a value stands for.
//
// A body flows on as it comes, up to the last white space: what follows that
// could be the beginning of a value, and waits for more. So an event or a line
// is passed on at once, and so is a message of gRPC; what streams in another
// form may wait. This depends on the text alone. Neither how much waits nor how
// long the search takes follows from a part of a value, since a server that
// sends texts of its own through a bound host could then find it by trying.
//
// For that, requests to bound hosts lose Range, and ask for gzip alone; partial
// content, another encoding, and connections that turn into another protocol,
// such as WebSocket, are refused.
//
// # Files
//
// The files of secrets that are not bound to hosts hold them. [Set.Refresh] has
// those rewritten whose secrets were rotated.
//
// # What it does not hold
//
// A bound host that gives a value back in a form of another kind does give it
// away: encrypted, compressed within a file, or in pieces that the request
// chooses. So does one that sends it to somebody else. Bind to hosts, methods
// and paths that have no such service, and allow no other way to it, since what
// is said on that is not read: another port, its address, or another name of the
// same machines. Values under eight bytes cannot be told from other text, and
// are refused.
package inject
