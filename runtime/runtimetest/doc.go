// Package runtimetest holds the suites that every [runtime.Launcher] and
// every [runtime.Runtime] passes.
//
// [Launcher] needs a launcher of an MCP server that answers initialize and
// ping. [Runtime] needs to be told how the probe is started: a program that
// does on request what the suite wants to see, such as allocating memory or
// connecting somewhere. The test binary itself can be the probe:
//
//	func TestMain(m *testing.M) {
//		runtimetest.Main() // does not return in the probe
//		os.Exit(m.Run())
//	}
//
//	func TestRuntime(t *testing.T) {
//		runtimetest.Runtime(t, runtimetest.Config{
//			Runtime: mine.New(nil),
//			Probe: func(t *testing.T) runtime.Spec {
//				return runtime.Spec{Command: []string{os.Args[0], runtimetest.ProbeArg}, Unconfined: true}
//			},
//		})
//	}
//
// A driver of containers puts the same binary, built without cgo, into an
// image.
package runtimetest
