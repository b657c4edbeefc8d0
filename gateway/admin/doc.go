// Package admin lets an operator look into a running gateway and act on it.
//
// [New] makes an [http.Handler] over a gateway; every request is an [Action]
// that the host's [Authorize] allows or refuses:
//
//	GET  /v1/status                 a Status
//	GET  /v1/events                 a stream of Events, one JSON object a line
//	POST /v1/servers/{name}/restart stop a server's instances; the next call starts anew
//	POST /v1/reload                 read the configuration again
//	POST /v1/drain                  stop taking work and end when the calls have ended
//
// A refused request is answered with 403, one that this program does not
// offer with 404, one that failed with 409; the body is {"error":"…"}.
//
//	feed := admin.NewFeed(gateway.Events{})
//	gw, err := gateway.New(&gateway.Options{Events: feed.Events()})
//	…
//	h := admin.New(gw, admin.AllowAll, &admin.Options{Feed: feed})
//
// # Sockets
//
// Several gateways of one configuration share a state folder. [Listen] makes
// a socket in it that only its owner can open, gateway-ID.sock, and holds a
// lock on gateway-ID.lock as long as the gateway lives; [Sockets] lists the
// living ones. Both remove what killed gateways left behind, and touch no
// other file of the folder. A [Client] talks to one socket:
//
//	sockets, err := admin.Sockets(folder)
//	for _, s := range sockets {
//		c := admin.NewClient(s.Path)
//		st, err := c.Status(ctx)
//		…
//	}
package admin
