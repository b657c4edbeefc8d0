//go:build unix

package main_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	mcptransport "github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// asServer makes the test binary be an MCP server on a pipe, whose tool is
// named by the variable's value.
const asServer = "GATEHOUSE_TEST_SERVER"

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// program is the path of the program under test.
var program string

func TestMain(m *testing.M) {
	if tool := os.Getenv(asServer); tool != "" {
		if err := serveTools(tool); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	folder, err := os.MkdirTemp("", "gatehouse")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	program = filepath.Join(folder, "gatehouse")
	args := []string{"build", "-o", program}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-race" && s.Value == "true" {
				args = append(args, "-race")
			}
		}
	}
	if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// serveTools is the server behind the gateway: a tool that tells its variables,
// or digests of them where the gateway would hide a value, and "hold", which connects to an address and waits there.
func serveTools(tool string) error {
	s := server.NewMCPServer("tools", "1.0.0")
	s.AddTool(mcp.NewTool(tool), func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		name := r.GetString("variable", "")
		if r.GetBool("digest", false) {
			return mcp.NewToolResultText(digest(os.Getenv(name))), nil
		}
		return mcp.NewToolResultText(os.Getenv(name)), nil
	})
	s.AddTool(mcp.NewTool("hold"), func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		c, err := net.Dial("tcp", r.GetString("at", ""))
		if err != nil {
			return nil, err
		}
		defer c.Close()
		word, err := bufio.NewReader(c).ReadString('\n')
		return mcp.NewToolResultText(strings.TrimSpace(word)), err
	})
	return server.NewStdioServer(s).Listen(context.Background(), os.Stdin, os.Stdout)
}

func digest(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

// home is the folder and the environment of a user.
type home struct {
	t   *testing.T
	dir string
	env []string
}

// newHome makes one with a short path, as the path of a socket is bounded.
func newHome(t *testing.T) *home {
	t.Helper()
	dir, err := os.MkdirTemp("", "gh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return &home{t: t, dir: dir, env: []string{
		"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TOKEN=s3cret-token",
		"GORACE=atexit_sleep_ms=0", // else a program built with -race ends a second late
	}}
}

// write writes a file of the home and returns its path.
func (h *home) write(name, text string) string {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.t.Fatal(err)
	}
	// In one step, so that nobody reads half of it.
	if err := os.WriteFile(path+"~", []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// entry is a server with a tool of that name.
func entry(name, tool string) string {
	return fmt.Sprintf("  %s:\n    command: [%q]\n    env: {%s: %s, TOKEN: \"${TOKEN}\"}\n", name, os.Args[0], asServer, tool)
}

func servers(entries ...string) string { return "servers:\n" + strings.Join(entries, "") }

func (h *home) command(args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Dir = h.env, h.dir
	return cmd
}

// result is what a run that ended left.
type result struct {
	code        int
	out, stderr string
}

// run runs the program to its end.
func (h *home) run(args ...string) result {
	h.t.Helper()
	cmd := h.command(args...)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), stderr.String()}
}

// want fails the test when the run ended with another code, or when standard
// error lacks a text.
func (r result) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("it ended with %d, not %d\nstdout: %s\nstderr: %s", r.code, code, r.out, r.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(r.stderr, text) {
			t.Errorf("standard error has no %q:\n%s", text, r.stderr)
		}
	}
}

// serving is a gateway that runs.
type serving struct {
	t     *testing.T
	cmd   *exec.Cmd
	url   string
	in    io.WriteCloser
	out   *bufio.Reader
	ended chan struct{} // closed once the program has ended

	mu   sync.Mutex
	log  []string
	more chan struct{} // closed and made anew with each line
}

// serve starts a gateway and returns once it says that it serves.
func (h *home) serve(args ...string) *serving {
	h.t.Helper()
	s := &serving{t: h.t, cmd: h.command(append([]string{"serve"}, args...)...), ended: make(chan struct{}), more: make(chan struct{})}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	out, w, err := os.Pipe() // one that can be read after the end, too
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = out.Close() })
	s.cmd.Stdout = w
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		h.t.Fatal(err)
	}
	s.out = bufio.NewReader(out)
	err = s.cmd.Start()
	_ = w.Close()
	if err != nil {
		h.t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			s.mu.Lock()
			s.log = append(s.log, lines.Text())
			close(s.more)
			s.more = make(chan struct{})
			s.mu.Unlock()
		}
		_ = s.cmd.Wait()
	}()
	h.t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.ended
		if h.t.Failed() {
			h.t.Logf("the log of %v:\n%s", s.cmd.Args[1:], strings.Join(s.log, "\n"))
		}
	})
	line := s.wait(regexp.MustCompile(`serving \d+ servers? on |msg"?[=:]"?ready`))
	s.url = regexp.MustCompile(`http://[^ "]+/mcp`).FindString(line)
	return s
}

// wait returns the first line of the log that matches, from any time.
func (s *serving) wait(re *regexp.Regexp) string {
	s.t.Helper()
	late := time.After(patience)
	for {
		s.mu.Lock()
		more := s.more
		for _, line := range s.log {
			if re.MatchString(line) {
				s.mu.Unlock()
				return line
			}
		}
		s.mu.Unlock()
		select {
		case <-more:
		case <-s.ended:
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, line := range s.log {
				if re.MatchString(line) {
					return line
				}
			}
			s.t.Fatalf("the program ended and never logged %q:\n%s", re, strings.Join(s.log, "\n"))
		case <-late:
			s.t.Fatalf("the program does not log %q", re)
		}
	}
}

// logged waits for a line that holds a text.
func (s *serving) logged(text string) string {
	s.t.Helper()
	return s.wait(regexp.MustCompile(regexp.QuoteMeta(text)))
}

func (s *serving) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// code waits for the end and returns the exit code.
func (s *serving) code() int {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Fatal("the program does not end")
	}
	return s.cmd.ProcessState.ExitCode()
}

// stop ends the gateway as an operator does, and expects it to end well.
func (s *serving) stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	if code := s.code(); code != 0 {
		s.t.Errorf("it ended with %d on SIGTERM", code)
	}
}

// connect makes a client. Changes of its lists of tools are told to changed,
// which may be nil.
func (s *serving) connect(changed chan<- struct{}) *client.Client {
	s.t.Helper()
	//lint:ignore SA1019 clients of the legacy era hold this stream
	c, err := client.NewStreamableHttpClient(s.url, mcptransport.WithContinuousListening(), mcptransport.WithHTTPLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	c.OnNotification(func(n mcp.JSONRPCNotification) {
		if changed != nil && n.Method == "notifications/tools/list_changed" {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	})
	if err := c.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	var init mcp.InitializeRequest
	init.Params.ProtocolVersion = "2025-11-25"
	init.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "1"}
	if _, err := c.Initialize(s.t.Context(), init); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// tools are the names of the tools, joined by blanks.
func tools(t *testing.T, c *client.Client) string {
	t.Helper()
	res, err := c.ListTools(t.Context(), mcp.ListToolsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range res.Tools {
		names = append(names, tool.Name)
	}
	return strings.Join(names, " ")
}

// call calls a tool and returns the text of its result.
func call(t *testing.T, c *client.Client, tool string, args map[string]any) string {
	t.Helper()
	text, err := tryCall(t.Context(), c, tool, args)
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	return text
}

func tryCall(ctx context.Context, c *client.Client, tool string, args map[string]any) (string, error) {
	var r mcp.CallToolRequest
	r.Params.Name, r.Params.Arguments = tool, args
	res, err := c.CallTool(ctx, r)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, content := range res.Content {
		if t, ok := content.(mcp.TextContent); ok {
			text.WriteString(t.Text)
		}
	}
	return text.String(), nil
}
