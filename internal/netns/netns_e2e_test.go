//go:build e2e && linux

package netns_test

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/netns"
)

func open(t *testing.T) *netns.NS {
	t.Helper()
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ns.Close() })
	return ns
}

func link(t *testing.T, path string) string {
	t.Helper()
	s, err := os.Readlink(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// home fails when any thread of this process is outside of its namespace.
func home(t *testing.T) {
	t.Helper()
	want := link(t, "/proc/self/ns/net")
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		got, err := os.Readlink("/proc/self/task/" + task.Name() + "/ns/net")
		if err == nil && got != want {
			t.Errorf("thread %s is in %s, not in %s", task.Name(), got, want)
		}
	}
}

func TestListenAndDialInside(t *testing.T) {
	ns := open(t)
	for _, addr := range []string{"127.0.0.1:7001", "[::1]:7001"} {
		l, err := ns.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		c, err := ns.Dial(ctx, "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 5)
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
			t.Errorf("got %q, %v", b, err)
		}
		if _, err := ns.Dial(ctx, "tcp", "192.0.2.1:80"); !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("a bare namespace reaches the outside: %v", err)
		}
	}
	if _, err := ns.Dial(t.Context(), "tcp", "localhost:7001"); err == nil || !strings.Contains(err.Error(), "not an IP address") {
		t.Errorf("a name was dialled: %v", err)
	}
	home(t)
}

func TestOpenByPath(t *testing.T) {
	ns := open(t)
	again, err := netns.Open(ns.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	l, err := again.Listen("tcp", "127.0.0.1:7002")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := ns.Listen("tcp", "127.0.0.1:7002"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("not the same namespace: %v", err)
	}
	for _, bad := range []string{"/proc/self/ns/uts", "/dev/null", "/nonexistent"} {
		if _, err := netns.Open(bad); err == nil {
			t.Errorf("%s was opened as a network namespace", bad)
		}
	}
}

func TestThreadsReturn(t *testing.T) {
	ns := open(t)
	outside := link(t, "/proc/thread-self/ns/net")
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			err := ns.Do(func() error {
				if in := link(t, "/proc/thread-self/ns/net"); in == outside {
					t.Error("Do ran outside")
				}
				runtime.Gosched()
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := ns.Do(func() error { runtime.Goexit(); return nil }); err == nil || !strings.Contains(err.Error(), "Goexit") {
		t.Errorf("Goexit: %v", err)
	}
	func() {
		defer func() {
			if got := recover(); got != "boom" {
				t.Errorf("recovered %v", got)
			}
		}()
		_ = ns.Do(func() error { panic("boom") })
	}()
	home(t)
}

func TestNothingIsLeft(t *testing.T) {
	count := func() (fds, tasks int) {
		f, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		p, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		return len(f), len(p)
	}
	cycle := func() {
		ns, err := netns.New()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(ns.Close(), ns.Close()); err != nil {
			t.Fatal(err)
		}
	}
	cycle()
	fds, tasks := count()
	for range 200 {
		cycle()
	}
	if f, p := count(); f > fds || p > tasks+4 {
		t.Errorf("descriptors %d, then %d; threads %d, then %d", fds, f, tasks, p)
	}
	home(t)
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		ns, err := netns.New()
		if err != nil {
			b.Fatal(err)
		}
		_ = ns.Close()
	}
}
