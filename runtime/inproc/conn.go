package inproc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// closeTimeout is how long Close waits for handlers that do not heed their
// context.
const closeTimeout = 5 * time.Second

// conn is the gateway's end of a session with an MCPServer. Each call runs
// the server's handler in a goroutine of its own, while the goroutine that
// calls hands on what the handler sends.
type conn struct {
	server  *server.MCPServer
	o       Options
	key     runtime.Key
	session *session

	ctx    context.Context // ends with the conn
	cancel context.CancelFunc
	done   chan struct{}
	wg     sync.WaitGroup
	joined chan struct{} // closed when wg is done, after the end

	unregistered chan struct{}
	listening    chan struct{} // closed by Listen
	listen       sync.Once
	receiver     transport.Receiver
	seq          atomic.Uint64

	mu  sync.Mutex
	err error
}

var (
	_ transport.Conn      = (*conn)(nil)
	_ transport.Done      = (*conn)(nil)
	_ transport.Versioned = (*conn)(nil)
)

func newConn(s *server.MCPServer, o Options, k runtime.Key) *conn {
	c := &conn{
		server: s, o: o, key: k,
		done:         make(chan struct{}),
		joined:       make(chan struct{}),
		unregistered: make(chan struct{}),
		listening:    make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.session = newSession(c)
	c.wg.Go(c.deliver)
	return c
}

// Listen implements [transport.Conn].
func (c *conn) Listen(r transport.Receiver) {
	c.listen.Do(func() {
		c.receiver = r
		if r == nil {
			c.receiver = refuse
		}
		close(c.listening)
	})
}

var refuse = transport.ReceiverFunc(func(_ context.Context, m *transport.Message) (*transport.Message, error) {
	return nil, transport.Errorf(transport.CodeMethodNotFound, "the client does not serve %s", m.Method)
})

// Done implements [transport.Done].
func (c *conn) Done() <-chan struct{} { return c.done }

// Err implements [transport.Done].
func (c *conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// SetProtocolVersion implements [transport.Versioned]. The server has
// negotiated it itself.
func (c *conn) SetProtocolVersion(string) {}

// Close implements [transport.Conn].
func (c *conn) Close() error {
	c.end(transport.ErrClosed)
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return c.join(ctx)
}

func (c *conn) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = cause
	close(c.done) // first: what a handler makes of its cancelled context is no reply
	c.cancel()
	go func() { // ends with the last handler
		c.wg.Wait()
		close(c.joined)
	}()
}

// join waits for every goroutine of the conn.
func (c *conn) join(ctx context.Context) error {
	<-c.unregistered
	select {
	case <-c.joined:
		return nil
	default:
	}
	grace := ctx
	if ctx.Err() != nil { // what heeds its context needs a moment all the same
		var cancel context.CancelFunc
		grace, cancel = context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
	}
	select {
	case <-c.joined:
		return nil
	case <-grace.Done():
		return errors.New("handlers of the server still run: they do not heed their context")
	}
}

// spawn runs f in a goroutine that is joined. It reports false, and does
// nothing, once the conn has ended.
func (c *conn) spawn(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return false
	}
	c.wg.Go(f)
	return true
}

// Notify implements [transport.Conn]. It returns when the handler has, so that
// what is sent next comes after, or when the handler asks the client
// something: the goroutine that notifies may be the one that brings the answer.
func (c *conn) Notify(ctx context.Context, m *transport.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	handling, cancel := context.WithCancel(context.WithoutCancel(ctx)) // it may outlive ctx
	h := &heard{session: c.session, asks: make(chan struct{}, 1)}
	handled := make(chan struct{})
	started := c.spawn(func() {
		defer close(handled)
		defer cancel()
		defer context.AfterFunc(c.ctx, cancel)()
		if m.Method != string(mcp.MethodNotificationCancelled) { // Call does that; the server knows no id of the caller's
			c.handle(handling, h, m, nil)
		}
	})
	if !started {
		cancel()
		return &transport.Error{Err: c.Err()}
	}
	select {
	case <-handled:
	case <-h.asks:
	case <-ctx.Done():
	case <-c.done:
	}
	return nil
}

// Call implements [transport.Conn].
func (c *conn) Call(ctx context.Context, m *transport.Message, related transport.Receiver) (*transport.Message, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k := newCall(c, m, related)
	handling, cancel := context.WithCancel(ctx)
	reply := make(chan *transport.Message, 1)
	started := c.spawn(func() {
		defer cancel()
		defer context.AfterFunc(c.ctx, cancel)()
		var r *transport.Message
		defer func() { reply <- r }() // also when the handler calls runtime.Goexit
		r = c.handle(handling, k.view, m, k.id)
	})
	if !started {
		cancel()
		return nil, &transport.Error{Err: c.Err()}
	}
	defer c.session.finish(k)
	for {
		select {
		case n := <-k.out.notes:
			k.give(ctx, n)
		case a := <-k.asks:
			k.drain(ctx)
			a.start()
		case r := <-reply:
			if ctx.Err() != nil || closed(c.done) {
				continue // it may be what the handler made of that
			}
			k.end(false) // first, lest what the handler left running holds the reply up
			k.drain(ctx)
			return k.reply(r), nil
		case <-ctx.Done():
			k.end(true)
			return nil, ctx.Err()
		case <-c.done:
			k.end(true)
			return nil, &transport.Error{Sent: true, Err: transport.ErrClosed}
		}
	}
}

// handle has the server handle a message, under an id of ours, as what comes
// from s. A panic of a handler becomes an error.
func (c *conn) handle(ctx context.Context, s server.ClientSession, m *transport.Message, id json.RawMessage) (reply *transport.Message) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if c.o.Logger != nil {
			c.o.Logger.LogAttrs(ctx, slog.LevelError, "a handler of a server panicked", slog.String("server", c.key.Server),
				slog.String("method", m.Method), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		}
		reply = m.ReplyError(transport.Errorf(transport.CodeInternal, "the server failed while it handled %s", m.Method))
	}()
	n := *m
	n.ID = id
	if c.o.Context != nil {
		ctx = c.o.Context(ctx, c.key)
	}
	switch r := c.server.HandleMessage(c.server.WithContext(ctx, s), n.Append(make([]byte, 0, n.Size()))).(type) {
	case nil:
		return nil
	case mcp.JSONRPCResponse:
		return encoded(m, r.Result, nil)
	case *mcp.JSONRPCResponse:
		return encoded(m, r.Result, nil)
	case mcp.JSONRPCError:
		return encoded(m, nil, r.Error)
	case *mcp.JSONRPCError:
		return encoded(m, nil, r.Error)
	default:
		return m.ReplyError(transport.Errorf(transport.CodeInternal, "the server answered with a %T", r))
	}
}

// encoded makes a reply of one of two values.
func encoded(m *transport.Message, result, fault any) *transport.Message {
	r := &transport.Message{ID: m.ID}
	var err error
	if fault != nil {
		r.Error, err = encode(fault)
	} else {
		r.Result, err = encode(result)
	}
	if err != nil {
		return m.ReplyError(transport.Errorf(transport.CodeInternal, "the result of the server cannot be encoded: %v", err))
	}
	return r
}

// encode is json.Marshal that leaves <, > and & as they are.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// message makes a message of a notification of the server.
func message(n mcp.JSONRPCNotification) (*transport.Message, error) {
	params, err := encode(n.Params)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", n.Method, err)
	}
	return &transport.Message{Method: n.Method, Params: params}, nil
}

// deliver hands on what belongs to no call, one after the other.
func (c *conn) deliver() {
	select {
	case <-c.listening:
	case <-c.done:
		return
	}
	for {
		select {
		case n := <-c.session.out.notes:
			c.session.out.release()
			m, err := message(n)
			if err != nil || c.session.publish(m) {
				continue
			}
			_, _ = c.receiver.Receive(c.ctx, m) // a notification has no reply
		case <-c.done:
			return
		}
	}
}

// nextID makes an id for the server.
func (c *conn) nextID() json.RawMessage { return strconv.AppendUint(nil, c.seq.Add(1), 10) }

// retag replaces the subscription id, which is the id that the server knows,
// by the caller's.
func retag(raw, id json.RawMessage) json.RawMessage {
	if _, ok := rawjson.Get(raw, "_meta", transport.MetaSubscription); !ok {
		return raw
	}
	return rawjson.Set(raw, id, "_meta", transport.MetaSubscription)
}
