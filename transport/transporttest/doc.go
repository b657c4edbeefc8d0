// Package transporttest is the suite that every [transport.Conn] passes.
//
// Whoever writes a Conn runs it with a func that connects two ends:
//
//	func TestConn(t *testing.T) {
//		transporttest.Run(t, func(t *testing.T) (client, server transport.Conn) {
//			client, server = mine.Connect()
//			t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
//			return client, server
//		})
//	}
//
// The client end is the one that a client of the protocol holds: it sends
// initialize and tools/call; the server end answers, and asks and notifies as
// part of what it answers. The suite calls connect once for each of its
// tests, which run one after the other, since it counts goroutines.
package transporttest
