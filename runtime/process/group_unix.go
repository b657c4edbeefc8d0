//go:build unix

package process

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// dyingTime is how long those who were killed may take to be gone.
const dyingTime = time.Second

// group is a command without a watcher.
type group struct {
	p    *os.Process
	done chan outcome

	mu    sync.Mutex
	ended bool // its pid may be another's
}

// startGroup starts a command in a session of its own. On Linux the kernel
// kills it together with the thread that started it, which therefore belongs
// to a goroutine that waits for its end.
func startGroup(c command) (tree, error) {
	g := &group{done: make(chan outcome, 1)}
	started := make(chan error, 1)
	go func() { // ends with the command
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		p, err := os.StartProcess(c.path, c.argv, &os.ProcAttr{
			Dir: c.dir, Env: c.env, Files: []*os.File{c.stdin, c.stdout, c.stderr}, Sys: childAttributes(),
		})
		g.p = p
		started <- err
		if err != nil {
			return
		}
		state, err := p.Wait()
		g.mu.Lock()
		g.ended = true
		killGroup(p.Pid) // what it left behind
		g.mu.Unlock()
		for end := time.Now().Add(dyingTime); groupLives(p.Pid) && time.Now().Before(end); {
			time.Sleep(time.Millisecond) // they are no children of ours, so that nothing tells
		}
		if err != nil {
			g.done <- outcome{code: -1, err: err}
			return
		}
		status, _ := state.Sys().(syscall.WaitStatus)
		g.done <- statusReport(status).outcome()
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return g, nil
}

func (g *group) ask() { g.signal(func(pid int) { _ = syscall.Kill(-pid, syscall.SIGTERM) }) }

func (g *group) kill() { g.signal(killGroup) }

func (g *group) signal(f func(pid int)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ended {
		f(g.p.Pid)
	}
}

func (g *group) wait() outcome { return <-g.done }
