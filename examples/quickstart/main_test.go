package main

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/gatehouse-mcp/gatehouse/runtime/sandbox"
)

// asProgram makes the test binary be the program.
const asProgram = "QUICKSTART_TEST_IS_PROGRAM"

func TestMain(m *testing.M) {
	sandbox.Init()
	if os.Getenv(asProgram) != "" || len(os.Args) == 2 && os.Args[1] == peekArg {
		main()
		return
	}
	os.Exit(m.Run())
}

// program runs the program until the test ends.
type program struct {
	cmd    *exec.Cmd
	url    string
	output bytes.Buffer // complete once ended was read
	stderr bytes.Buffer
	ended  chan error
}

// start returns once the program says that it serves.
func start(t *testing.T) *program {
	t.Helper()
	p := &program{cmd: exec.Command(os.Args[0], "-listen", "127.0.0.1:0"), ended: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), asProgram+"=1")
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	go func() {
		lines := bufio.NewReader(out)
		for {
			line, err := lines.ReadString('\n')
			p.output.WriteString(line)
			if strings.HasPrefix(line, "Ctrl-C") {
				close(ready)
			}
			if err != nil {
				p.ended <- p.cmd.Wait()
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	select {
	case <-ready:
	case err := <-p.ended:
		t.Fatalf("the program ended: %v\n%s%s", err, p.output.String(), p.stderr.String())
	case <-time.After(time.Minute):
		t.Fatal("the program does not say that it serves")
	}
	p.url = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+/mcp`).FindString(p.output.String())
	if p.url == "" {
		t.Fatalf("the program names no URL:\n%s", p.output.String())
	}
	return p
}

// connect makes a client that also holds the stream of the session open.
func connect(t *testing.T, url string) *client.Client {
	t.Helper()
	//lint:ignore SA1019 clients of the legacy era hold this stream
	c, err := client.NewStreamableHttpClient(url, transport.WithContinuousListening(), transport.WithHTTPLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var init mcp.InitializeRequest
	init.Params.ProtocolVersion = "2025-11-25"
	init.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "1"}
	if _, err := c.Initialize(t.Context(), init); err != nil {
		t.Fatal(err)
	}
	return c
}

func call(t *testing.T, c *client.Client, tool string, args map[string]any) string {
	t.Helper()
	var r mcp.CallToolRequest
	r.Params.Name, r.Params.Arguments = tool, args
	res, err := c.CallTool(t.Context(), r)
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	if len(res.Content) != 1 {
		t.Fatalf("%s: %d content items", tool, len(res.Content))
	}
	text, ok := res.Content[0].(mcp.TextContent)
	if !ok {
		t.Fatalf("%s: %T", tool, res.Content[0])
	}
	return text.Text
}

func TestQuickstart(t *testing.T) {
	t.Parallel()
	p := start(t)
	for _, want := range []string{`{"mcpServers": {"gatehouse": {"type": "http", "url": "` + p.url + `"}}}`, "in this program, which confines nothing"} {
		if !strings.Contains(p.output.String(), want) {
			t.Errorf("the output has no %s:\n%s", want, p.output.String())
		}
	}

	c := connect(t, p.url)
	tools, err := c.ListTools(t.Context(), mcp.ListToolsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range tools.Tools {
		names = append(names, tool.Name)
	}
	want := "clock__now clock__until notes__find notes__remove notes__write"
	if confined := strings.Contains(p.output.String(), "peek   confined: "); confined {
		want += " peek__connect peek__look"
		peek(t, c)
	} else if !strings.Contains(p.stderr.String(), "nothing can confine it here") {
		t.Errorf("nothing says why there is no server \"peek\":\n%s", p.stderr.String())
	}
	if got := strings.Join(names, " "); got != want {
		t.Errorf("tools: %s, want %s", got, want)
	}
	if now := call(t, c, "clock__now", map[string]any{"zone": "Asia/Kolkata"}); !strings.HasSuffix(now, "+05:30") {
		t.Errorf("now in Kolkata: %s", now)
	}
	if got := call(t, c, "clock__now", map[string]any{"zone": "Nowhere"}); !strings.Contains(got, "not known") {
		t.Errorf("now nowhere: %s", got)
	}
	if got := call(t, c, "notes__write", map[string]any{"title": "shopping list", "text": "tea"}); got != "Kept." {
		t.Errorf("write: %s", got)
	}
	if got := call(t, c, "notes__find", map[string]any{"text": "TEA"}); got != "shopping list" {
		t.Errorf("find: %s", got)
	}

	// Another client finds the same notes, as resources and in the prompt.
	other := connect(t, p.url)
	var read mcp.ReadResourceRequest
	read.Params.URI = "note://shopping%20list"
	res, err := other.ReadResource(t.Context(), read)
	if err != nil {
		t.Fatal(err)
	}
	if text, ok := res.Contents[0].(mcp.TextResourceContents); !ok || text.Text != "tea" {
		t.Errorf("the note: %+v", res.Contents)
	}
	read.Params.URI = "note://none"
	if _, err := other.ReadResource(t.Context(), read); err == nil || !strings.Contains(err.Error(), "there is no note") {
		t.Errorf("a note that is missing: %v", err)
	}
	var get mcp.GetPromptRequest
	get.Params.Name = "notes__summary"
	prompt, err := other.GetPrompt(t.Context(), get)
	if err != nil {
		t.Fatal(err)
	}
	if text, ok := prompt.Messages[0].Content.(mcp.TextContent); !ok || !strings.Contains(text.Text, "# shopping list\ntea") {
		t.Errorf("the prompt: %+v", prompt.Messages)
	}

	if runtime.GOOS == "windows" {
		return // no signals
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.ended:
		if err != nil {
			t.Errorf("the program ended with %v\n%s", err, p.stderr.String())
		}
	case <-time.After(time.Minute):
		t.Error("the program does not end on SIGTERM")
	}
}

// peek: the confined server sees nothing of this machine.
func peek(t *testing.T, c *client.Client) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := call(t, c, "peek__look", map[string]any{"folder": filepath.Dir(file)}); !strings.Contains(got, "no such file") {
		t.Errorf("look: %s", got)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := call(t, c, "peek__connect", map[string]any{"address": l.Addr().String()}); !strings.Contains(got, "refused") {
		t.Errorf("connect: %s", got)
	}
}

func TestPortIsTaken(t *testing.T) {
	t.Parallel()
	if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
		defer l.Close()
	} // else somebody else has it
	var stderr strings.Builder
	l, err := open("", &stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, p, _ := net.SplitHostPort(l.Addr().String()); p == port {
		t.Error("the taken port was used")
	}
	if !strings.Contains(stderr.String(), "Port "+port+" is taken") {
		t.Errorf("it says %q", stderr.String())
	}
	if _, err := open(l.Addr().String(), io.Discard); err == nil {
		t.Error("an address that was asked for and is taken is no error")
	}
}
