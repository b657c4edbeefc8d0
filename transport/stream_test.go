package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/transport"
	"github.com/gatehouse-mcp/gatehouse/transport/transporttest"
)

// osPipes connects two Streams as a process and its parent are connected.
func osPipes(t testing.TB, o *transport.StreamOptions) (client, server transport.Conn) {
	t.Helper()
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	client, server = transport.NewStream(outR, inW, o), transport.NewStream(inR, outW, o)
	t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
	return client, server
}

// memoryPipes is osPipes with writers that block.
func memoryPipes(t testing.TB, o *transport.StreamOptions) (client, server transport.Conn) {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	client, server = transport.NewStream(outR, inW, o), transport.NewStream(inR, outW, o)
	t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
	return client, server
}

func TestStream(t *testing.T) {
	t.Parallel()
	t.Run("files", func(t *testing.T) {
		t.Parallel()
		transporttest.Run(t, func(t *testing.T) (client, server transport.Conn) { return osPipes(t, nil) })
	})
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		transporttest.Run(t, func(t *testing.T) (client, server transport.Conn) { return memoryPipes(t, nil) })
	})
}

func TestPipe(t *testing.T) {
	t.Parallel()
	transporttest.Run(t, func(t *testing.T) (client, server transport.Conn) {
		client, server = transport.Pipe()
		t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
		return client, server
	})
}

// wire is a peer of which the test writes and reads the lines.
type wire struct {
	t    *testing.T
	conn *transport.Stream
	in   *io.PipeWriter // what the conn reads
	out  *lines         // what the conn writes
}

type lines struct{ r io.Reader }

func (l *lines) next() (string, error) {
	one := make([]byte, 1)
	var line []byte
	for {
		if _, err := io.ReadFull(l.r, one); err != nil {
			return string(line), err
		}
		if one[0] == '\n' {
			return string(line), nil
		}
		line = append(line, one[0])
	}
}

func newWire(t *testing.T, o *transport.StreamOptions) *wire {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	w := &wire{t: t, conn: transport.NewStream(inR, outW, o), in: inW, out: &lines{r: outR}}
	t.Cleanup(func() { _ = inW.Close(); _ = outR.Close(); _ = w.conn.Close() })
	return w
}

func (w *wire) send(line string) {
	w.t.Helper()
	if _, err := io.WriteString(w.in, line+"\n"); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) want(line string) {
	w.t.Helper()
	got, err := w.out.next()
	if err != nil {
		w.t.Fatalf("reading: %v", err)
	}
	if got != line {
		w.t.Fatalf("on the wire:\n got %s\nwant %s", got, line)
	}
}

// result is what Call returned.
type result struct {
	m   *transport.Message
	err error
}

func call(ctx context.Context, c transport.Conn, m *transport.Message, r transport.Receiver) <-chan result {
	out := make(chan result, 1)
	go func() {
		m, err := c.Call(ctx, m, r)
		out <- result{m, err}
	}()
	return out
}

func request(method string) *transport.Message {
	return &transport.Message{ID: json.RawMessage(`"a"`), Method: method, Params: json.RawMessage(`{}`)}
}

func TestStreamWire(t *testing.T) {
	t.Parallel()
	w := newWire(t, nil)
	reply := call(t.Context(), w.conn, &transport.Message{
		ID: json.RawMessage(`"caller's"`), Method: "tools/call",
		Params: json.RawMessage("{\n \"n\": 12345678901234567890\n}"), Extra: json.RawMessage(`"x":[1]`),
	}, nil)
	w.want(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"n":12345678901234567890},"x":[1]}`)
	w.send(`{"jsonrpc":"2.0","id":1,"result":{"u":1.0e2}}`)
	r := <-reply
	if r.err != nil || string(r.m.ID) != `"caller's"` || string(r.m.Result) != `{"u":1.0e2}` {
		t.Fatalf("got %v, %v", r.m, r.err)
	}
}

func TestStreamGarbage(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 8)
	w := newWire(t, &transport.StreamOptions{Garbage: 2, OnGarbage: func(line []byte) { seen <- string(line) }})
	reply := call(t.Context(), w.conn, request("ping"), nil)
	w.want(`{"jsonrpc":"2.0","id":1,"method":"ping","params":{}}`)
	w.send("Server listening on stdio")
	w.send(`{"level":"info"}`)
	w.send("")
	w.send(`{"jsonrpc":"2.0","id":1,"result":{}}`)
	if r := <-reply; r.err != nil {
		t.Fatal(r.err)
	}
	if a, b := <-seen, <-seen; a != "Server listening on stdio" || b != `{"level":"info"}` {
		t.Errorf("OnGarbage got %q and %q", a, b)
	}
	for range 3 {
		w.send("no")
	}
	<-w.conn.Done()
	if err := w.conn.Err(); !errors.Is(err, transport.ErrClosed) || !strings.Contains(err.Error(), "more than 2 lines in a row are no JSON-RPC") {
		t.Errorf("Err is %v", err)
	}
}
