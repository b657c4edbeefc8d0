// Command bench measures what the gateway costs, beside what it would cost
// not to have one. It is the repository's own and needs nothing but itself:
//
//	go run ./internal/bench                # all rows, about five minutes
//	go run ./internal/bench -quick         # a few seconds: does every row work?
//	go run ./internal/bench -rows 'http/legacy/32/echo' -rounds 3
//	go run ./internal/bench -rows 'stdio/legacy/32/echo/empty' -cpuprofile profiles
//	go run ./internal/bench -check         # exit code 1 when a budget is overrun
//	go run ./internal/bench -json          # one JSON value a line
//
// # What is measured
//
// A fast fixed MCP server is called in six ways, and the bench measures them
// in turn, round after round, each for a second:
//
//	direct    by the clients themselves
//	hop       through a plain httputil.ReverseProxy, the yardstick
//	empty     through the gateway without interceptors, not even its baseline
//	baseline  through the gateway as it comes: it looks for secrets in all that passes
//	ten       through the gateway as it comes, with ten interceptors that pass everything on, typed ones among them
//	session   as empty, with a server process for each session
//
// A row is named LINK/ERA/CLIENTS/OPERATION/PATH. LINK is how the server is
// reached: http, or stdio, where the floor is a bare pipe that all clients
// share, the gateway shares one instance too (but for the path session), and
// the yardstick is the hop before the server over HTTP. ERA is that of the
// clients: legacy (2025-11-25, a session each) or modern (2026-07-28,
// stateless). Each client has a keep-alive connection of its own. OPERATION
// is echo (200 bytes of distinct text), big (a reply of 64 KB of plain text)
// or list (tools/list of 1,000 tools). The id and the content of every reply
// are checked; an error makes the exit code 1.
//
// The columns:
//
//	calls/s, p50, p99   as the clients see it
//	CPU ms/1000         user and system time of the middle process alone for 1,000 calls, from
//	                    /proc/PID/stat; the server is another process, over stdio a child that is not counted
//	allocs, KB          of the middle process per call, from runtime.MemStats
//	calls x direct      calls a second as a part of those without anything in between
//	x hop, CPU x hop    calls a second and CPU as multiples of the hop's
//	p50-hop             how much longer the median takes than the hop's
//	spread              the distance of the extreme rounds as a part of the median: of the CPU, or
//	                    of the calls a second where nothing stands between
//
// Ratios are made in each round, of rows measured close to each other, before
// the median over the rounds is taken. They are what matters: clients, middle
// and server share the machine and its neighbours' noise. CPU time is counted
// in ticks of 10 ms, so that short cells round it.
//
// # Memory
//
// A fresh process gets 200 legacy sessions, each from a client with a
// connection of its own that makes one call and then rests. The growth of the
// proportional set size (Pss in /proc/PID/smaps_rollup, after a garbage
// collection that returns what is free) is shared among them: once with the
// connections open, and once after the clients closed them without ending
// their sessions. What the kernel holds for the connections is not in it.
//
// # Interceptors
//
// The cost of one interceptor is far below the noise of a call over a
// network. It is measured alone, around a handler that returns at once.
//
// # Budgets
//
// The last table holds the figures against the bounds that the project set
// itself. It informs; -check makes it the exit code.
//
// # Processes
//
// The roles (server, hop, gateway) are this binary, executed once more: at
// most eight at a time, and the children of the path session. They listen on
// loopback only, at ports that the system chooses. Each is led through its
// standard input and ends with it, so that none survives the bench, not even
// when that is killed. CPU and memory of other processes are read from /proc:
// elsewhere than on Linux those columns stay empty.
package main
