package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestTranscripts plays a client's lines to a gateway in front of a scripted
// server, both over pipes, and compares every byte that either gets with the
// golden file. Sections of a file:
//
//	script      METHOD, a space, and the raw result, error or a notification
//	            that the server sends when it gets that method; $ID is the id of
//	            its request, $TOKEN its progress token
//	client      what the client sends, a line each
//	to-client   golden: what the client gets
//	to-server   golden: what the server gets
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			section := func(name string) *txtar.File {
				for i := range a.Files {
					if a.Files[i].Name == name {
						return &a.Files[i]
					}
				}
				a.Files = append(a.Files, txtar.File{Name: name})
				return &a.Files[len(a.Files)-1]
			}
			srv := &scripted{script: string(section("script").Data)}
			toClient := play(t, srv, string(section("client").Data))
			for name, got := range map[string]string{"to-client": toClient, "to-server": srv.lines()} {
				f := section(name)
				if *update {
					f.Data = []byte(got)
				} else if got != string(f.Data) {
					t.Errorf("%s differs; got:\n%s\nwant:\n%s", name, got, f.Data)
				}
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// play sends the lines one after the other, each after the reply to the one
// before, and returns what came back. Sealed handles are replaced by marks.
func play(t *testing.T, srv *scripted, lines string) string {
	gw := open(t, &gateway.Options{
		Servers: []gateway.Server{{Name: "srv", Launcher: srv}}, Unprefixed: "srv", Version: "1.2.3",
	})
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = gw.ServeStdio(ctx, inR, outW)
		_ = outW.Close()
	}()
	out := bufio.NewScanner(outR)
	out.Buffer(nil, 16<<20)
	var got strings.Builder
	for line := range strings.Lines(lines) {
		line = strings.TrimSuffix(line, "\n")
		line = strings.ReplaceAll(line, "$MEGABYTE", strings.Repeat("0123456789abcdef", 1<<16))
		if _, err := io.WriteString(inW, line+"\n"); err != nil {
			t.Fatal(err)
		}
		id, ok := rawjson.Get(json.RawMessage(line), "id")
		if !ok {
			continue
		}
		for out.Scan() {
			got.WriteString(strings.ReplaceAll(out.Text(), strings.Repeat("0123456789abcdef", 1<<16), "$MEGABYTE") + "\n")
			if reply, _ := rawjson.Get(out.Bytes(), "id"); bytes.Equal(reply, id) {
				break
			}
		}
		if err := out.Err(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	_ = inW.Close()
	_, _ = io.Copy(io.Discard, outR)
	<-done
	return got.String()
}

// scripted is a server whose every byte is written down.
type scripted struct {
	script string
	mu     sync.Mutex
	got    strings.Builder
}

func (s *scripted) lines() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

// Launch implements [runtime.Launcher].
func (s *scripted) Launch(context.Context, runtime.Key) (runtime.Instance, error) {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	i := &scriptedInstance{conn: transport.NewStream(outR, inW, nil), exit: make(chan runtime.Exit, 1), in: inR, out: outW}
	go s.serve(inR, outW)
	return i, nil
}

func (s *scripted) serve(in io.Reader, out io.Writer) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		s.mu.Lock()
		s.got.WriteString(strings.ReplaceAll(lines.Text(), strings.Repeat("0123456789abcdef", 1<<16), "$MEGABYTE") + "\n")
		s.mu.Unlock()
		id, _ := rawjson.Get(lines.Bytes(), "id")
		name, _ := rawjson.Get(lines.Bytes(), "method")
		method, _ := rawjson.String(name)
		token, _ := rawjson.Get(lines.Bytes(), "params", "_meta", "progressToken")
		for rule := range strings.Lines(s.script) {
			m, answer, ok := strings.Cut(strings.TrimSuffix(rule, "\n"), " ")
			if !ok || m != method {
				continue
			}
			answer = strings.NewReplacer("$ID", string(id), "$TOKEN", string(token), "$MEGABYTE", strings.Repeat("0123456789abcdef", 1<<16)).Replace(answer)
			if _, err := fmt.Fprintln(out, answer); err != nil {
				return
			}
		}
	}
}

type scriptedInstance struct {
	conn transport.Conn
	exit chan runtime.Exit
	in   *io.PipeReader
	out  *io.PipeWriter
	once sync.Once
}

func (i *scriptedInstance) Conn() transport.Conn      { return i.conn }
func (i *scriptedInstance) Wait() <-chan runtime.Exit { return i.exit }
func (i *scriptedInstance) Stop(context.Context) error {
	i.once.Do(func() {
		_ = i.in.Close()
		_ = i.out.Close()
		_ = i.conn.Close()
		i.exit <- runtime.Exit{Reason: runtime.Stopped, Code: -1}
		close(i.exit)
	})
	return nil
}
