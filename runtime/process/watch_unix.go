//go:build unix

package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// watcherName is the argv[0] by which a copy of this program knows that it is
// a watcher.
const watcherName = "gatehouse-process-watcher"

// canWatch is set by Init: only then does a copy of this program do what a
// watcher is to do. It is a fact of the program, not of a Runtime.
var canWatch atomic.Bool

// order is what a watcher is told first.
type order struct {
	Path string
	Argv []string
	Env  []string
	Dir  string
}

// report is what a watcher tells: that the command was started, or why not,
// and at last how it ended.
type report struct {
	PID    int    `json:",omitempty"`
	Error  string `json:",omitempty"`
	Ended  bool   `json:",omitempty"`
	Code   int
	Signal int `json:",omitempty"`
}

// What a watcher may be told after its order. The end of the pipe, which is
// also the end of the gateway, means the same as kill.
const (
	tellAsk  = 'a'
	tellKill = 'k'
)

// The files of a watcher beside the three of the command.
const (
	orderFile  = 3
	reportFile = 4
)

// Init makes watchers possible: the driver starts copies of this program to
// watch over servers, and Init is what they do. A program that uses the
// driver calls it first thing in main, or in TestMain.
//
// In a watcher Init does not return. Elsewhere it returns false, at once.
func Init() bool {
	if len(os.Args) == 1 && os.Args[0] == watcherName {
		watch()
		syscall.Exit(0) // and none of what the program does at its exit
	}
	canWatch.Store(true)
	return false
}

// startTree starts a command under the best watch that there is.
func startTree(ctx context.Context, c command) (tree, error) {
	if !canWatch.Load() {
		return startGroup(c)
	}
	return startWatched(ctx, c)
}

// watched is a command under a watcher.
type watched struct {
	watcher *os.Process
	tell    *os.File // ends with the gateway
	hear    *os.File
	reports *json.Decoder
	pid     int // of the command
}

func startWatched(ctx context.Context, c command) (_ tree, err error) {
	self, err := executablePath()
	if err != nil {
		return nil, fmt.Errorf("finding this program, for the watcher: %w", err)
	}
	orders, tell, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer orders.Close()
	hear, reports, err := os.Pipe()
	if err != nil {
		_ = tell.Close()
		return nil, err
	}
	defer reports.Close()
	defer func() {
		if err != nil {
			_ = tell.Close()
			_ = hear.Close()
		}
	}()
	p, err := os.StartProcess(self, []string{watcherName}, &os.ProcAttr{
		Dir:   "/",
		Env:   []string{},
		Files: []*os.File{c.stdin, c.stdout, c.stderr, orders, reports},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, fmt.Errorf("the watcher: %w", err)
	}
	w := &watched{watcher: p, tell: tell, hear: hear, reports: json.NewDecoder(bufio.NewReader(hear))}
	if err := w.start(ctx, c); err != nil {
		_ = tell.Close() // the watcher kills what it may have started, and goes
		_, _ = p.Wait()
		return nil, err
	}
	return w, nil
}

// start sends the order and waits for the answer.
func (w *watched) start(ctx context.Context, c command) error {
	unhook := context.AfterFunc(ctx, func() {
		past := time.Unix(1, 0)
		_ = w.tell.SetWriteDeadline(past)
		_ = w.hear.SetReadDeadline(past)
	})
	line, err := json.Marshal(order{c.path, c.argv, c.env, c.dir})
	if err != nil {
		return err
	}
	var r report
	if _, err = w.tell.Write(append(line, '\n')); err == nil {
		err = w.reports.Decode(&r)
	}
	switch {
	case !unhook():
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("the watcher did not start it: %w", err)
	case r.Error != "":
		return errors.New(r.Error)
	}
	w.pid = r.PID
	return nil
}

func (w *watched) ask()  { _, _ = w.tell.Write([]byte{tellAsk}) } // a watcher that is gone needs no telling
func (w *watched) kill() { _, _ = w.tell.Write([]byte{tellKill}) }

func (w *watched) wait() outcome {
	var r report
	err := w.reports.Decode(&r)
	state, werr := w.watcher.Wait()
	_ = w.tell.Close()
	_ = w.hear.Close()
	if err == nil && r.Ended {
		return r.outcome()
	}
	// The watcher was killed. The kernel has killed the command with it, on
	// Linux; the rest is found by its group, if at all.
	killGroup(w.pid)
	switch {
	case werr != nil:
		err = werr
	case err == nil || errors.Is(err, io.EOF):
		err = fmt.Errorf("the process that watched over it ended: %v", state)
	}
	return outcome{code: -1, signal: syscall.SIGKILL.String(), err: err}
}

func (r report) outcome() outcome {
	if r.Signal != 0 {
		return outcome{code: -1, signal: syscall.Signal(r.Signal).String()}
	}
	return outcome{code: r.Code}
}

// statusReport is the report of a command that has ended.
func statusReport(s syscall.WaitStatus) report {
	r := report{Ended: true, Code: s.ExitStatus()}
	if s.Signaled() {
		r.Signal = int(s.Signal())
	}
	return r
}
