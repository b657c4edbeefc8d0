// Package egress is the way out of confined servers: a proxy that lives in
// the gateway and listens inside the network namespace of each instance,
// where there is nothing else but loopback. What is not on the list of the
// instance does not leave the machine, DNS included; when the gateway is
// gone, nothing does.
//
//	p, err := egress.New(&egress.Options{Events: events})
//	gate, err := p.Attach(ctx, ns.File(), egress.Attachment{
//		Server: "github",
//		Allow:  []string{"api.github.com:443", "*.githubusercontent.com:443"},
//	})
//	defer gate.Close()
//
// # Inside
//
// A [Gate] listens on four ports of the namespace's loopback: 3128 (HTTP
// CONNECT and plain HTTP, for programs that heed the variables of
// [Gate.Env]), 15001 (TCP, for those that do not: routes make every address
// local, and nftables redirects every connection there), and 15053 (DNS over
// UDP and TCP, to which everything for port 53 is redirected, whichever
// resolver it was for). Loopback itself is left alone, but for port 53. Other
// datagrams fail (EPERM).
//
// DNS questions are never forwarded. A name on the list gets an address made
// up for it, from 198.18.0.0/15 and fd67:6174:6568:6f75::/64, and a
// connection to that address is one to the name, whatever its protocol; other
// names do not exist.
//
// # What is decided
//
// A name must be on the list with its port ([ParseRule]). Its addresses are
// looked up by the proxy, and only those that passed are dialled: private,
// loopback, link-local, metadata, multicast and other special addresses, and
// those of the gateway's own host, do not, unless an entry of the list is
// that address or a CIDR of that kind. 0.0.0.0/0 is the public internet and
// opens none of them; a metadata address and an address of the own host are
// opened by an entry for that very address; multicast by none.
//
// When a connection to a name begins with TLS, the server name in it (SNI)
// must be that name, in a second hello (HelloRetryRequest) too; when it begins
// with HTTP/1, the Host of every request must be, for which the proxy reads the
// requests and sends them on itself. All fail closed: no name, no connection;
// and so do records before the hello, hellos in the form of SSL 2, HTTP/2
// without TLS and the PROXY protocol. Requests to switch to HTTP/2 or TLS are
// sent on without the wish; after a switch to something else, such as
// WebSocket, the connection is not looked into any more. Connections that
// begin otherwise, or with the peer's words, pass by their port. A connection
// to an address that the list opens is not looked into.
//
// What is encrypted is not seen: Encrypted Client Hello hides the real name
// behind the outer one, a renegotiation of TLS 1.2 is a hello inside of the
// encryption, and so are the Host of HTTPS and the names of HTTP/2 streams. So
// what is held is that connections go to the addresses of names on the list
// and say such a name in the open; not that a server that answers for several
// names, such as that of a CDN, serves none of the others (domain fronting).
// [Attachment.Terminate] holds that too.
//
// # What is kept
//
// Each decision is an event, and a second one tells the bytes when the
// connection has ended. A gate makes 200 decisions a second, and 1,000 at once
// after a quiet time; connections and requests over that wait, questions of
// DNS are dropped. Refusals that are all alike are one event a second, which
// counts those before. All are counted for [Gate.Refusals], with the entry that
// would allow them. Clients see a 403 with that text, a name that does
// not exist, or a reset connection.
//
// # Looking inside
//
// [Attachment.Terminate] names targets whose TLS ends in the gate, with
// certificates of the gate's own authority ([Gate.CA]), which is good for those
// names alone and whose key stays in memory. Hooks see each HTTP request to
// them and each response, over HTTP/1 and HTTP/2; the TLS to the target is
// verified. The proxy knows nothing of what hooks do: see runtime/inject. A
// client that does not take the certificate, since it pins another one or
// heeds none of the usual variables, gets no connection, and a refusal says so.
package egress
