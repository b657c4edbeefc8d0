package transport_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/transport"
)

// modernServer is a server of the modern era with one tool.
func modernServer(w http.ResponseWriter, r *http.Request) {
	var m transport.Message
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	result := `{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"instructions":"Be kind."}`
	if m.Method == "tools/call" {
		result = `{"content":[{"type":"text","text":"` + r.Header.Get("Mcp-Name") + ` was called"}]}`
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(m.Reply(json.RawMessage(result)).Append(nil))
}

func ExampleNewHTTPClient() {
	srv := httptest.NewServer(http.HandlerFunc(modernServer))
	defer srv.Close()
	ctx := context.Background()

	c, err := transport.NewHTTPClient(srv.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close() }()
	c.Listen(nil) // nobody is interested in what belongs to no call

	peer, err := transport.Handshake(ctx, c, transport.HandshakeOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	reply, err := c.Call(ctx, &transport.Message{
		ID:     json.RawMessage(`"mine"`),
		Method: "tools/call",
		Params: transport.ModernMeta(json.RawMessage(`{"name":"clock"}`), peer.Version, nil, nil),
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(peer.Era, peer.Version)
	fmt.Println(string(reply.ID), string(reply.Result))
	// Output:
	// modern 2026-07-28
	// "mine" {"content":[{"type":"text","text":"clock was called"}]}
}

func ExampleHandshake() {
	client, server := transport.Pipe()
	defer func() { _ = client.Close(); _ = server.Close() }()
	server.Listen(transport.ReceiverFunc(func(_ context.Context, m *transport.Message) (*transport.Message, error) {
		if m.Method == "initialize" {
			return m.Reply(json.RawMessage(`{"protocolVersion":"2025-06-18","capabilities":{}}`)), nil
		}
		return nil, transport.Errorf(transport.CodeMethodNotFound, "%s is not known", m.Method)
	}))
	client.Listen(nil)

	peer, err := transport.Handshake(context.Background(), client, transport.HandshakeOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(peer.Era, peer.Version)
	// Output: legacy 2025-06-18
}

func ExampleNewRoundTripper() {
	srv := httptest.NewServer(http.HandlerFunc(modernServer))
	defer srv.Close()

	// Two clients that share their connections.
	rt := transport.NewRoundTripper(nil)
	defer (&http.Client{Transport: rt}).CloseIdleConnections()
	for range 2 {
		c, err := transport.NewHTTPClient(srv.URL, &transport.HTTPClientOptions{RoundTripper: rt})
		if err != nil {
			fmt.Println(err)
			return
		}
		c.Listen(nil)
		peer, err := transport.Handshake(context.Background(), c, transport.HandshakeOptions{})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(string(peer.Instructions))
		_ = c.Close()
	}
	// Output:
	// "Be kind."
	// "Be kind."
}

func ExampleNewEventReader() {
	var stream []byte
	stream = transport.AppendEvent(stream, "1", "", 500, []byte{}) // primes the client for resumption
	stream = transport.AppendEvent(stream, "2", "", 0, []byte(`{"jsonrpc":"2.0","method":"notifications/message"}`))

	r := transport.NewEventReader(strings.NewReader(string(stream)), 1<<20)
	for {
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s %d %q\n", e.ID, e.Retry, e.Data)
	}
	// Output:
	// 1 500 ""
	// 2 -1 "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}"
}
