package runtimetest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/gatehouse-mcp/gatehouse/transport"
)

// ProbeArg is the first argument that makes a program that calls [Main] the
// probe.
const ProbeArg = "runtimetest-probe"

// Arguments of the probe after the first.
const (
	argStubborn = "stubborn" // it heeds neither SIGTERM nor the end of its input
	argSleep    = "sleep"    // it does nothing; used for what the probe starts
	argDetach   = "detach"   // it starts a sleeper in a session of its own, and exits
	argSilent   = "silent"   // it exits at once, with code 3
)

// Main makes this program the probe if it was started as one; it does not
// return then. TestMain calls it first.
func Main() {
	if len(os.Args) < 2 || os.Args[1] != ProbeArg {
		return
	}
	syscall.Exit(probe(os.Args[2:])) // os.Exit takes a second under the race detector
}

func probe(args []string) int {
	mode := strings.Join(args, " ")
	switch mode {
	case argSilent:
		fmt.Fprintln(os.Stderr, "cannot start: the probe was told so")
		return 3
	case argSleep:
		time.Sleep(time.Hour)
		return 0
	case argDetach:
		c := self(argSleep)
		detach(c)
		if err := c.Start(); err != nil {
			return 1
		}
		fmt.Println(c.Process.Pid)
		return 0
	case argStubborn:
		signal.Ignore(syscall.SIGTERM, os.Interrupt)
	}
	conn := transport.NewStream(os.Stdin, os.Stdout, nil)
	conn.Listen(transport.ReceiverFunc(serve))
	<-conn.Done()
	if mode == argStubborn {
		time.Sleep(time.Hour)
	}
	return 0
}

// self is the probe again, in another mode.
func self(mode string) *exec.Cmd { return exec.Command(os.Args[0], ProbeArg, mode) }

// serve answers what the suite asks: the protocol's handshake, and a method
// for each thing to be tried. Params is an object with the member "arg".
func serve(ctx context.Context, m *transport.Message) (*transport.Message, error) {
	if m.IsNotification() {
		return nil, nil
	}
	var p struct {
		Arg             json.RawMessage
		ProtocolVersion string
	}
	if len(m.Params) > 0 {
		if err := json.Unmarshal(m.Params, &p); err != nil {
			return nil, transport.Errorf(transport.CodeInvalidParams, "%s", err.Error())
		}
	}
	var text string
	var number int
	_ = json.Unmarshal(p.Arg, &text) // one of the two fits
	_ = json.Unmarshal(p.Arg, &number)
	answer, err := do(ctx, m.Method, text, number, p.ProtocolVersion)
	if err != nil {
		return nil, transport.Errorf(1, "%s", err.Error())
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return m.Reply(raw), nil
}

func do(ctx context.Context, method, text string, number int, version string) (any, error) {
	switch method {
	case "initialize":
		return map[string]any{
			"protocolVersion": version, "capabilities": map[string]any{},
			"serverInfo": map[string]string{"name": "probe", "version": "1"},
		}, nil
	case "ping":
		return map[string]any{}, nil
	case "probe/pid":
		return os.Getpid(), nil
	case "probe/env":
		return os.Environ(), nil
	case "probe/dir":
		return os.Getwd()
	case "probe/user":
		return os.Getuid(), nil
	case "probe/exit":
		syscall.Exit(number)
	case "probe/stderr":
		return nil, fprint(os.Stderr, text)
	case "probe/stdout":
		return nil, fprint(os.Stdout, text)
	case "probe/crash":
		p, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = p.Kill()
		}
		if err != nil {
			return nil, err
		}
		<-ctx.Done()
	case "probe/child": // a child of ours
		c := self(argSleep)
		return pidOf(c, c.Start())
	case "probe/detached": // a grandchild whose parent is gone, in a session of its own
		out, err := self(argDetach).Output()
		return strings.TrimSpace(string(out)), err
	case "probe/memory":
		return touch(number), nil
	case "probe/processes":
		return breed(number)
	case "probe/cpu":
		return spin(time.Duration(number) * time.Millisecond), nil
	case "probe/dial":
		d := net.Dialer{Timeout: 3 * time.Second}
		c, err := d.DialContext(ctx, "tcp", text)
		if err != nil {
			return nil, err
		}
		return nil, c.Close()
	case "probe/fetch":
		return fetch(ctx, text)
	case "probe/talk":
		return talk(ctx, text)
	case "probe/write":
		if err := os.WriteFile(text, []byte("probe"), 0o600); err != nil {
			return nil, err
		}
		return nil, os.Remove(text)
	case "probe/fill": // a file, which stays
		return fill(text)
	case "probe/append":
		return nil, appendTo(text)
	case "probe/read":
		b, err := os.ReadFile(text)
		return string(b), err
	}
	return nil, fmt.Errorf("the probe does not know %s", method)
}

// fetch gets a URL with the Authorization that stands behind it, and returns
// the answer with its header.
func fetch(ctx context.Context, what string) (string, error) {
	url, auth, _ := strings.Cut(what, " ")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", auth)
	c := http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true},
	}
	defer c.CloseIdleConnections()
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprintf("%s %d %v %s", resp.Proto, resp.StatusCode, resp.Header, body), err
}

// talk says over TLS, to the host in the first line, what stands behind it, and
// returns what it hears until the end.
func talk(ctx context.Context, what string) (string, error) {
	host, text, _ := strings.Cut(what, "\n")
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, err := (&tls.Dialer{Config: &tls.Config{NextProtos: []string{"http/1.1"}}}).DialContext(ctx, "tcp", host)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		return "", err
	}
	heard, _ := io.ReadAll(c)
	return string(heard), nil
}

func fprint(f *os.File, text string) error {
	_, err := fmt.Fprintln(f, text)
	return err
}

func pidOf(c *exec.Cmd, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return fmt.Sprint(c.Process.Pid), nil
}

// mostFilled bounds what the probe writes to a disk, in bytes.
const mostFilled = 256 << 20

// fill writes to a file until the disk is full, and tells how many bytes fitted.
func fill(path string) (n int, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for b := make([]byte, 64<<10); n < mostFilled; {
		k, err := f.Write(b)
		n += k
		if errors.Is(err, syscall.ENOSPC) {
			break
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// appendTo adds a line to a file.
func appendTo(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(fprint(f, "probe"), f.Close())
}

// touch uses memory, and tells how many bytes it had when it was done.
func touch(megabytes int) int {
	var held [][]byte
	for range megabytes {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 1 << 12 {
			b[i] = 1
		}
		held = append(held, b)
	}
	runtime.KeepAlive(held)
	return len(held) << 20
}

// breed starts processes, and tells how many it could start.
func breed(n int) (int, error) {
	var all []*exec.Cmd
	defer func() {
		for _, c := range all {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	}()
	for range n {
		c := self(argSleep)
		if err := c.Start(); err != nil {
			return len(all), nil
		}
		all = append(all, c)
	}
	return len(all), nil
}

// spin keeps every core busy, and tells the milliseconds of CPU it got.
func spin(d time.Duration) int {
	end := time.Now().Add(d)
	before := cpuTime()
	done := make(chan struct{})
	n := runtime.NumCPU()
	runtime.GOMAXPROCS(n)
	for range n {
		go func() {
			for time.Now().Before(end) {
			}
			done <- struct{}{}
		}()
	}
	for range n {
		<-done
	}
	return int((cpuTime() - before) / time.Millisecond)
}
