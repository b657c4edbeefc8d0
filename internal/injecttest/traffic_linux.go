package injecttest

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/netns"
)

// listen keeps what goes over the network that a process is in, until the
// function that it returns is called.
func listen(t *testing.T, pid int) (end func() []byte) {
	t.Helper()
	fd, err := socketIn(pid)
	if err != nil {
		t.Fatal(err)
	}
	var (
		heard bytes.Buffer
		wg    sync.WaitGroup
		done  = make(chan struct{})
	)
	wg.Go(func() {
		b := make([]byte, 1<<17)
		for {
			n, err := unix.Read(fd, b)
			switch {
			case err == nil:
				heard.Write(b[:n])
			case err == unix.EAGAIN || err == unix.EINTR: // the socket's own time limit
				select {
				case <-done:
					return
				default:
				}
			default:
				return
			}
		}
	})
	return func() []byte {
		close(done)
		wg.Wait()
		_ = unix.Close(fd)
		return heard.Bytes()
	}
}

// socketIn makes a socket for all packets of the network of a process.
func socketIn(pid int) (fd int, err error) {
	ns, err := netns.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return -1, err
	}
	defer ns.Close()
	err = ns.Do(func() error {
		const everything = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL<<8&0xff00 // in the order of the network
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, everything)
		return err
	})
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20)
	}
	return fd, err
}
