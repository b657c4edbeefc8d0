//go:build e2e && linux

package netns_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func tasks(t *testing.T) int {
	t.Helper()
	p, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(p)
}

// TestPendingDialsTakeNoThreads dials a server that takes nobody in.
func TestPendingDialsTakeNoThreads(t *testing.T) {
	ns := open(t)
	full := -1
	err := ns.Do(func() error {
		var err error
		if full, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		if err := unix.Bind(full, &unix.SockaddrInet4{Port: 9999, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			return err
		}
		return unix.Listen(full, 0)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(full)
	before := tasks(t)
	ctx, cancel := context.WithCancel(t.Context())
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		pending int
	)
	for range 300 {
		wg.Go(func() {
			c, err := ns.Dial(ctx, "tcp", "127.0.0.1:9999")
			if err == nil {
				_ = c.Close()
				return
			}
			mu.Lock()
			defer mu.Unlock()
			pending++
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	time.Sleep(time.Second)
	if now := tasks(t); now > before+24 {
		t.Errorf("%d threads, with 300 dials under way %d", before, now)
	}
	began := time.Now()
	cancel()
	wg.Wait()
	if d := time.Since(began); d > 2*time.Second || pending < 250 {
		t.Errorf("%d dials ended %v after they were called off", pending, d)
	}
	home(t)
}

func TestDialFailures(t *testing.T) {
	ns := open(t)
	for _, tt := range []struct {
		network, addr string
		want          error
	}{
		{"tcp", "127.0.0.1:1", syscall.ECONNREFUSED},
		{"tcp6", "[::1]:1", syscall.ECONNREFUSED},
		{"udp", "192.0.2.1:1", syscall.ENETUNREACH},
		{"udp4", "127.0.0.1:1", nil},
		{"tcp4", "[::1]:1", errors.ErrUnsupported},
		{"tcp", "[fe80::1%lo]:1", errors.ErrUnsupported},
		{"unix", "127.0.0.1:1", errors.ErrUnsupported},
		{"tcpu", "127.0.0.1:1", errors.ErrUnsupported},
	} {
		c, err := ns.Dial(t.Context(), tt.network, tt.addr)
		if c != nil {
			_ = c.Close()
		}
		if tt.want == errors.ErrUnsupported && err == nil || tt.want != errors.ErrUnsupported && !errors.Is(err, tt.want) {
			t.Errorf("%s %s: %v", tt.network, tt.addr, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ns.Dial(ctx, "tcp", "127.0.0.1:1"); err == nil {
		t.Error("dialled for a caller that has left")
	}
}
