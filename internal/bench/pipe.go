package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"
)

// pipe is a server on standard input and output, shared by clients as the
// gateway shares one: a message a line, replies told apart by their ids.
type pipe struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the reader has ended

	mu sync.Mutex
	in io.WriteCloser

	replies []chan []byte // by client
}

// startPipe starts the fixed server for n clients.
func startPipe(n int) (*pipe, error) {
	cmd, err := command("stdio")
	if err != nil {
		return nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p := &pipe{cmd: cmd, in: in, done: make(chan struct{}), replies: make([]chan []byte, n)}
	for i := range p.replies {
		p.replies[i] = make(chan []byte, 1)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting role stdio: %w", err)
	}
	go p.read(out)
	return p, nil
}

// read hands each line to the client that its id tells.
func (p *pipe) read(out io.Reader) {
	defer close(p.done)
	r := bufio.NewReaderSize(out, maxBody)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return
		}
		if i, ok := ownerOf(replyID(line)); ok && i < len(p.replies) {
			select {
			case p.replies[i] <- line:
			default: // a reply that nobody waits for any more
			}
		}
	}
}

func (p *pipe) close() {
	_ = p.in.Close()
	late := time.AfterFunc(stopTimeout, func() { _ = p.cmd.Process.Kill() })
	<-p.done
	_ = p.cmd.Wait()
	late.Stop()
}

// pipeClient is one of the clients of a pipe.
type pipeClient struct {
	p     *pipe
	index int
	timer *time.Timer
	late  bool // the timer has fired
}

var _ client = (*pipeClient)(nil)

func (c *pipeClient) frame(_, _ string, body []byte) []byte {
	return append(append([]byte(nil), body...), '\n')
}

func (c *pipeClient) exchange(wire []byte, id uint64) ([]byte, error) {
	c.p.mu.Lock()
	_, err := c.p.in.Write(wire)
	c.p.mu.Unlock()
	if err != nil || id == 0 {
		return nil, err
	}
	for !c.late {
		select {
		case b := <-c.p.replies[c.index]:
			if replyID(b) == id {
				return b, nil
			}
		case <-c.timer.C:
			c.late = true
		case <-c.p.done:
			return nil, errors.New("the server on the pipe ended")
		}
	}
	return nil, errors.New("no reply in time")
}

// extend sets the time for all exchanges of a span together: a timer for
// each would be a part of what is measured.
func (c *pipeClient) extend(d time.Duration) {
	c.late = false
	if c.timer == nil {
		c.timer = time.NewTimer(d + callTimeout)
		return
	}
	c.timer.Reset(d + callTimeout)
}

func (c *pipeClient) reset() {}

func (c *pipeClient) leave() error { return nil }
