package cgroup

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// How long, and how often, a kill is looked for after the kernel has told that
// the memory has run out: it counts it a moment later.
const (
	killWait = time.Second
	killLook = 5 * time.Millisecond
)

// Alarm hears when a group runs out of memory. The caller closes it.
type Alarm struct {
	g    *Group
	file *os.File // an eventfd; nil with version 2
}

// Alarm makes one. With version 2 it never tells anything: there the kernel
// itself ends a whole group of which it must end one process.
func (g *Group) Alarm() (*Alarm, error) {
	a := &Alarm{g: g}
	if g.h.v2 {
		return a, nil
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	a.file = os.NewFile(uintptr(fd), "out of memory")
	control, err := os.Open(g.file("memory", "memory.oom_control"))
	if err == nil {
		defer control.Close()
		err = g.write("memory", "cgroup.event_control", fmt.Sprintf("%d %d", fd, control.Fd()))
	}
	if err != nil {
		_ = a.file.Close()
		return nil, fmt.Errorf("asking to be told when a control group has no memory left: %w", err)
	}
	return a, nil
}

// Wait returns true when a process of the group was killed since there was no
// memory left, and false when the alarm was closed or ctx has ended.
func (a *Alarm) Wait(ctx context.Context) bool {
	if a.file == nil {
		<-ctx.Done()
		return false
	}
	defer context.AfterFunc(ctx, func() { _ = a.file.SetReadDeadline(time.Unix(1, 0)) })()
	times := make([]byte, binary.Size(uint64(0)))
	for {
		if _, err := a.file.Read(times); err != nil {
			return false
		}
		for end := time.Now().Add(killWait); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(killLook) {
			if n, err := a.g.OOMKills(); err != nil || n > 0 {
				return err == nil // the group may be gone, of which the kernel tells in the same way
			}
		}
	}
}

// Close ends the alarm.
func (a *Alarm) Close() error {
	if a.file == nil {
		return nil
	}
	return a.file.Close()
}
