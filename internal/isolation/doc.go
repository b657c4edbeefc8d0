// Package isolation has no code, only tests: a server that attacks whoever
// runs it (the program internal/hostile) in every driver that confines. Each
// of its attempts must fail in a container of runc, in one of gVisor and in
// the sandbox, and must succeed without confinement, as far as that does no
// harm to the machine; what it wastes must be bounded, and others must not
// feel it. The tests need root, the test bed and the build tag e2e.
package isolation
