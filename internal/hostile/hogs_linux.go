package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// allocate touches so many bytes and keeps them for a while.
func allocate(a arguments) (string, error) {
	n := a.number("bytes")
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return "", err
	}
	for i := 0; i < n; i += 4096 {
		b[i] = 1
	}
	time.Sleep(time.Second)
	defer func() { _ = unix.Munmap(b) }()
	return fmt.Sprintf("used %d bytes", n), nil
}

func burn(a arguments) (string, error) {
	end := time.Now().Add(time.Duration(a.number("seconds")) * time.Second)
	var wg sync.WaitGroup
	for range max(1, a.number("threads")) {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for x := 1; time.Now().Before(end); {
				for n := 1; n < 100_000; n++ {
					x = x*n + 1
				}
			}
		})
	}
	wg.Wait()
	return "burnt", nil
}

// bomb is `:(){ :|:& };:` for some seconds: every process makes others as
// fast as it can. They do nothing but that, so that they need no memory of
// Go's, and end as a group.
func bomb(a arguments) (string, error) {
	c := exec.Command("/proc/self/exe", "fork")
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Env = append(os.Environ(), "GOMAXPROCS=1")
	if err := c.Start(); err != nil {
		return "", err
	}
	group := c.Process.Pid
	time.Sleep(time.Duration(a.number("seconds")) * time.Second)
	// Whoever is just being made is of the group, too.
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if unix.Kill(-group, unix.SIGKILL) != nil {
			break
		}
	}
	_ = c.Wait()
	return "it is over", nil
}

// forkForEver is the life of every process of a bomb. Nothing of Go runs in
// them: what forked has one thread, and no way to make more.
//
//go:nosplit
//go:norace
func forkForEver() {
	pause := unix.Timespec{Nsec: 100_000}
	for {
		_, _, e := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		if e != 0 {
			_, _, _ = syscall.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&pause)), 0, 0)
		}
	}
}

// fill writes to a folder until it cannot.
func fill(a arguments) (string, error) {
	name := filepath.Join(a["dir"], "hostile-fill")
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	defer os.Remove(name)
	defer f.Close()
	b := bytes.Repeat([]byte("hostile!"), 8<<10)
	n := 0
	for {
		m, err := f.Write(b)
		n += m
		if err != nil {
			var p *os.PathError
			if errors.As(err, &p) {
				err = p.Err
			}
			return fmt.Sprintf("wrote %d bytes, then: %v", n, err), nil
		}
	}
}

// litter makes empty files until it cannot.
func litter(a arguments) (string, error) {
	dir := filepath.Join(a["dir"], "hostile-litter")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	n, end := 0, time.Now().Add(20*time.Second)
	for ; time.Now().Before(end); n++ {
		f, err := os.Create(filepath.Join(dir, strconv.Itoa(n)))
		if err != nil {
			return fmt.Sprintf("made %d files, then: %v", n, err), nil
		}
		_ = f.Close()
	}
	return fmt.Sprintf("made %d files, then: no more time", n), nil
}

func openFiles(arguments) (string, error) {
	n := 0
	for {
		_, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Sprintf("opened %d files, then: %v", n, err), nil
		}
		if n++; n > 1<<20 {
			return "", errors.New("there is no bound")
		}
	}
}

// spill writes n bytes of lines, or of one line without an end.
func spill(f *os.File, n int, end byte) (string, error) {
	b := append(bytes.Repeat([]byte("noise "), 680), "padding"...)
	b[len(b)-1] = end
	for sent := 0; sent < n; sent += len(b) {
		if _, err := f.Write(b); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("printed %d bytes", n), nil
}

func log(a arguments) (string, error)   { return spill(os.Stderr, a.number("bytes"), '\n') }
func flood(a arguments) (string, error) { return spill(os.Stdout, a.number("bytes"), 'x') }

func chatter(a arguments) (string, error) {
	pad := bytes.Repeat([]byte("x"), 1000)
	for range a.number("number") {
		if _, err := fmt.Fprintf(os.Stdout, `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"%s"}}`+"\n", pad); err != nil {
			return "", err
		}
	}
	return "sent", nil
}
