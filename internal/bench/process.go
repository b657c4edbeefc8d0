package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// Bounds of a role's process.
const (
	startTimeout   = 30 * time.Second
	controlTimeout = 30 * time.Second
	stopTimeout    = 10 * time.Second
)

// process is a role that runs: this binary, executed once more. Its methods
// are for one goroutine, but for stop.
type process struct {
	name    string
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *os.File
	lines   *bufio.Reader
	address string // HOST:PORT where it serves
	once    sync.Once
}

// command is this binary in a role.
func command(role string, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the own binary: %w", err)
	}
	return exec.Command(self, append([]string{roleArg, role}, args...)...), nil
}

// startRole starts a role and waits until it serves.
func startRole(ctx context.Context, log io.Writer, role string, args ...string) (*process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cmd, err := command(role, args...)
	if err != nil {
		return nil, err
	}
	cmd.Stderr = log
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = w
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		_ = out.Close()
		return nil, fmt.Errorf("starting role %s: %w", role, err)
	}
	p := &process{name: role, cmd: cmd, in: in, out: out, lines: bufio.NewReader(out)}
	s, err := p.read(startTimeout)
	if err != nil {
		p.stop()
		return nil, err
	}
	p.address = s.Address
	return p, nil
}

// ask sends one control request and returns the answer.
func (p *process) ask(request string) (stats, error) {
	if _, err := io.WriteString(p.in, request+"\n"); err != nil {
		return stats{}, fmt.Errorf("asking role %s: %w", p.name, err)
	}
	return p.read(controlTimeout)
}

func (p *process) read(limit time.Duration) (stats, error) {
	_ = p.out.SetReadDeadline(time.Now().Add(limit))
	line, err := p.lines.ReadBytes('\n')
	var s stats
	if err == nil {
		err = json.Unmarshal(line, &s)
	}
	if err == nil && s.Error != "" {
		err = errors.New(s.Error)
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("it ended; its standard error says why")
	}
	if err != nil {
		return stats{}, fmt.Errorf("role %s: %w", p.name, err)
	}
	return s, nil
}

// stop ends the process by closing its standard input, and kills it when it
// does not heed that.
func (p *process) stop() {
	p.once.Do(func() {
		_ = p.in.Close()
		late := time.AfterFunc(stopTimeout, func() { _ = p.cmd.Process.Kill() })
		_ = p.cmd.Wait()
		late.Stop()
		_ = p.out.Close()
	})
}
