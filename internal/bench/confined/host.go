//go:build e2e && linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
)

// host stands in for a test where the test bed wants one: it ends what was
// begun, in the other order, and collects what they complain about.
type host struct {
	testing.TB // nil: only what is here may be used

	log    io.Writer
	ends   []func()
	faults []error
}

// fatal is what Fatal panics with.
type fatal struct{ error }

// with runs f, which may hand h over as a test, and ends everything that was
// begun meanwhile.
func (h *host) with(f func() error) (err error) {
	func() {
		defer func() {
			switch p := recover().(type) {
			case nil:
			case fatal:
				err = p.error
			default:
				panic(p)
			}
		}()
		err = f()
	}()
	if err != nil {
		h.faults = append(h.faults, err)
	}
	for len(h.ends) > 0 {
		end := h.ends[len(h.ends)-1]
		h.ends = h.ends[:len(h.ends)-1]
		end()
	}
	return errors.Join(h.faults...)
}

func (h *host) Helper()          {}
func (h *host) Cleanup(f func()) { h.ends = append(h.ends, f) }
func (h *host) Failed() bool     { return len(h.faults) > 0 }
func (h *host) Fatal(args ...any) {
	panic(fatal{errors.New(fmt.Sprint(args...))})
}
func (h *host) Fatalf(format string, args ...any) {
	panic(fatal{fmt.Errorf(format, args...)})
}
func (h *host) Errorf(format string, args ...any) {
	h.faults = append(h.faults, fmt.Errorf(format, args...))
}
func (h *host) Logf(format string, args ...any) {
	fmt.Fprintf(h.log, format+"\n", args...)
}

// TempDir returns a folder that goes with h, and that servers of any user may
// enter.
func (h *host) TempDir() string {
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err == nil {
		h.Cleanup(func() { _ = os.RemoveAll(dir) })
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		h.Fatal(err)
	}
	return dir
}
