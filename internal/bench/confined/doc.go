// Command confined measures what it costs to confine servers: in a container
// of containerd and in the sandbox, beside a bare client of containerd and a
// plain process. It needs Linux, root, the test bed and the build tag e2e:
//
//	make testbed
//	make bench                                                   # after the other benchmark
//	go run -tags e2e ./internal/bench/confined                   # only this one, a minute
//	go run -tags e2e ./internal/bench/confined -quick            # does everything work?
//	go run -tags e2e ./internal/bench/confined -check            # exit code 1 when a budget is overrun
//	go run -tags e2e ./internal/bench/confined -json             # one JSON value a line
//
// Where the test bed is not installed, or it is not root, it says so and exits
// with 0. It starts a containerd of its own, in a mount namespace of its own,
// and leaves nothing behind.
//
// # What is compared
//
// One small static MCP server is started in these ways, in turns, round after
// round:
//
//	process          runtime/process: no confinement, the floor
//	sandbox          runtime/sandbox, as a command of this machine
//	sandbox image    runtime/sandbox, out of an unpacked image
//	bare containerd  a client of containerd and nothing of this library, the yardstick
//	container        runtime/containerd with runc
//	gvisor           runtime/containerd with gVisor; seen less often, as information
//
// The bare client makes the same container: of the same image, by the same
// runc, with the spec of a container of the driver, which it has read back
// from containerd: the limits, and a filter of system calls for one
// architecture, are in it. Its stdio are direct FIFOs. Its network namespace
// and its file for /etc/hosts are made before the clock starts; those of
// runtime/containerd are made while it runs, as its spec is.
//
// # The tables
//
// The first table has the start up to the reply to initialize, and the stop by
// the end of the server's input until nothing is left. x bare is the median of
// the ratios to the bare client's start in the same round. A second one has
// many at once: the time until eight servers that were started together have
// all answered, and how many starts a second, with the stops, one worker and
// eight make.
//
// Warm is a call through a gateway, over HTTP, that is the first of its
// session: with Server.Warm, where an instance waits for it, and without. The
// round trip is a ping on the server's standard input and output. Memory is
// what the instance itself reports as [runtime.Usage], the proportional set
// size of containerd's shim, and by how much the anonymous memory of this
// process grows with each instance.
//
// Medians are over the rounds, and beside each is the best round: other
// programs on the machine move medians up to two times, minima less. How busy
// they kept it is measured between the rounds and told at the top. The last
// table holds the figures against the bounds that the project set itself. It
// informs; -check makes it the exit code.
package main
