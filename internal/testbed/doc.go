// Package testbed is what the end-to-end tests of containers stand on: what
// install.sh put into the cache folder, and containerd daemons of their own.
//
// The gateway hands mounts over to containerd as descriptors, which works only
// within one mount namespace, and a test must never leave a mount on the
// machine. So the test binary moves into a mount namespace of its own first,
// and its daemons are started there:
//
//	var bed *testbed.Bed
//
//	func TestMain(m *testing.M) {
//		runtimetest.Main() // whoever is only a child comes first
//		var err error
//		if bed, err = testbed.Enter(os.Getenv("GATEHOUSE_CACHE")); err != nil {
//			log.Fatal(err)
//		}
//		code := m.Run()
//		if err := bed.Leave(); err != nil {
//			log.Print(err)
//			code = 1
//		}
//		os.Exit(code)
//	}
//
//	func TestSomething(t *testing.T) {
//		d := bed.Containerd(t) // stopped and removed at the end of t
//		rt, err := containerd.New(t.TempDir(), &containerd.Options{Address: d.Address})
//		…
//	}
//
// A daemon fails its test when anything is left at its end: shims, processes,
// mounts. What a test binary that was killed has left is removed by the next
// one. Everything here needs root on Linux and the build tag e2e; without the
// tag the package is empty.
package testbed
