//go:build unix

package process

import (
	"bufio"
	"encoding/json"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// watch is the whole life of a watcher.
func watch() {
	// On Linux the command ends with the thread that started it.
	runtime.LockOSThread()
	// Caught and dropped rather than ignored, which the command would inherit.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	syscall.CloseOnExec(orderFile)
	syscall.CloseOnExec(reportFile)
	orders := bufio.NewReader(os.NewFile(orderFile, "orders"))
	reports := json.NewEncoder(os.NewFile(reportFile, "reports"))

	var o order
	line, err := orders.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &o)
	}
	if err != nil {
		return // the gateway is gone
	}
	if err := adopt(); err != nil {
		_ = reports.Encode(report{Error: "the watcher cannot adopt orphans: " + err.Error()})
		return
	}
	pid, err := syscall.ForkExec(o.Path, o.Argv, &syscall.ProcAttr{
		Dir:   o.Dir,
		Env:   o.Env,
		Files: []uintptr{0, 1, 2},
		Sys:   childAttributes(),
	})
	// Its pipes are its own: they must end when it does.
	silence()
	if err != nil {
		_ = reports.Encode(report{Error: (&os.PathError{Op: "exec", Path: o.Path, Err: err}).Error()})
		return
	}
	_ = reports.Encode(report{PID: pid})
	told := make(chan byte)
	go func() {
		for {
			b, err := orders.ReadByte()
			if err != nil { // the gateway is gone
				b = tellKill
			}
			told <- b
			if err != nil {
				return
			}
		}
	}()
	f := family{command: pid}
	for !f.ended {
		select {
		case <-children:
			f.reap()
		case b := <-told:
			if b == tellKill {
				f.killAll(told)
			} else {
				_ = syscall.Kill(-pid, syscall.SIGTERM)
			}
		}
	}
	f.killAll(told)
	_ = reports.Encode(statusReport(f.status))
}

// silence gives the watcher other standard files than the command's.
func silence() {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	for fd := range 3 {
		if err == nil {
			_ = redirect(int(null.Fd()), fd)
		} else {
			_ = syscall.Close(fd)
		}
	}
}

// family is the command and what it started.
type family struct {
	command int
	ended   bool // the command
	status  syscall.WaitStatus
}

// reap takes note of every child that has ended. It reports whether there
// are others.
func (f *family) reap() bool {
	for {
		var s syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &s, syscall.WNOHANG, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return false
		case pid == 0:
			return true
		case pid == f.command:
			f.ended, f.status = true, s
		}
	}
}

// killAll kills until nobody is left. What is told meanwhile is no news.
func (f *family) killAll(told <-chan byte) {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		left := killDescendants(f.command, f.ended)
		if !f.reap() && !left {
			f.ended = true
			return
		}
		t := time.NewTimer(pause)
		select {
		case <-told:
		case <-t.C:
		}
		t.Stop()
	}
}
