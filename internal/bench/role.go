package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"time"
)

// roleArg as the first argument makes the binary play the role named by the
// second instead of measuring.
const roleArg = "role"

// A role is what a sub-process serves, and what it does at its end.
type role func(args []string) (h http.Handler, end func(), err error)

// playRole is the whole life of a sub-process: it serves on a port of its
// own, obeys the requests on its standard input, and ends with it, so that
// nothing survives the bench, however that ends.
func playRole(name string, args []string) error {
	signal.Ignore(os.Interrupt) // Ctrl-C reaches the whole group; the bench says when to end
	if name == "stdio" {
		return newFixedServer().serveStdio(os.Stdin, os.Stdout)
	}
	play, ok := map[string]role{"server": serverRole, "hop": hopRole, "gateway": gatewayRole}[name]
	if !ok {
		return fmt.Errorf("there is no role %q", name)
	}
	handler, end, err := play(args)
	if err != nil {
		return err
	}
	defer end()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	c := &control{out: json.NewEncoder(os.Stdout)}
	srv := &http.Server{Handler: handler, ConnState: c.count, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	err = c.out.Encode(stats{Address: l.Addr().String()})
	if err == nil {
		err = c.serve(os.Stdin)
	}
	_ = srv.Close()
	<-served
	return err
}

// stats is what a role says of itself, one JSON value a line.
type stats struct {
	Address string `json:"address,omitempty"` // the first time only
	Error   string `json:"error,omitempty"`
	Mallocs uint64 `json:"mallocs,omitempty"` // since its start
	Bytes   uint64 `json:"bytes,omitempty"`   // allocated since its start
	Conns   int64  `json:"conns,omitempty"`   // of clients, now
}

// control is a role's side of the line between the bench and its roles: a
// request a line on standard input, an answer a line on standard output.
type control struct {
	out   *json.Encoder
	conns atomic.Int64
}

func (c *control) count(_ net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		c.conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		c.conns.Add(-1)
	}
}

// serve answers until in ends.
func (c *control) serve(in io.Reader) error {
	var profile *os.File
	defer func() {
		if profile != nil {
			pprof.StopCPUProfile()
			_ = profile.Close()
		}
	}()
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var s stats
		var err error
		switch verb, arg, _ := strings.Cut(lines.Text(), " "); {
		case verb == "stats":
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			s = stats{Mallocs: m.Mallocs, Bytes: m.TotalAlloc, Conns: c.conns.Load()}
		case verb == "settle": // twice: pools keep what they hold for one more cycle
			debug.FreeOSMemory()
			debug.FreeOSMemory()
		case verb == "profile" && profile == nil:
			if profile, err = os.Create(arg); err == nil {
				err = pprof.StartCPUProfile(profile)
			}
		case verb == "endprofile" && profile != nil:
			pprof.StopCPUProfile()
			err = profile.Close()
			profile = nil
		default:
			err = errors.New("unexpected request " + verb)
		}
		if err != nil {
			s.Error = err.Error()
		}
		if err := c.out.Encode(s); err != nil {
			return err
		}
	}
	return nil
}
