package sandbox

import (
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// spawner starts the copies of this program. The kernel ends each together
// with the thread that started it, so that all are started by one thread,
// which lives as long as the Runtime.
type spawner struct {
	userns bool // they get a user namespace

	once sync.Once
	work chan func()
	done chan struct{}
}

func newSpawner(userns bool) *spawner {
	return &spawner{userns: userns, work: make(chan func()), done: make(chan struct{})}
}

// run is the life of the thread.
func (s *spawner) run() {
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	defer close(s.done)
	for f := range s.work {
		f()
	}
}

// start starts a copy with these files. Uid and gid are what its user is
// called inside of a user namespace.
func (s *spawner) start(files []*os.File, uid, gid int) (p *os.Process, err error) {
	s.once.Do(func() { go s.run() })
	sys := &syscall.SysProcAttr{
		Setsid: true, Pdeathsig: syscall.SIGKILL,
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWNET,
	}
	if s.userns {
		sys.Cloneflags |= unix.CLONE_NEWUSER
		sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: os.Geteuid(), Size: 1}}
		sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: os.Getegid(), Size: 1}}
		for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ { // they must outlive its exec
			sys.AmbientCaps = append(sys.AmbientCaps, c)
		}
	}
	started := make(chan struct{})
	s.work <- func() {
		defer close(started)
		// This program, even if its file was replaced meanwhile.
		p, err = os.StartProcess("/proc/self/exe", []string{initName}, &os.ProcAttr{
			Dir: "/", Env: []string{}, Files: files, Sys: sys,
		})
	}
	<-started
	return p, err
}

// close ends the thread, and with it what it has started.
func (s *spawner) close() {
	s.once.Do(func() { close(s.done) }) // it never ran
	close(s.work)
	<-s.done
}
