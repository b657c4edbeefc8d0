package inproc

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/gatehouse-mcp/gatehouse/transport"
)

// queued is how many notifications of a call, or of a session, may wait.
const queued = 256

// call is a call in flight.
type call struct {
	c       *conn
	m       *transport.Message
	related transport.Receiver
	id      json.RawMessage // that the server knows
	view    *view
	notes   chan mcp.JSONRPCNotification
	asks    chan *ask

	mu      sync.Mutex
	over    chan struct{} // closed when nobody takes from notes and asks any more
	dropped bool          // the caller gave up
}

func newCall(c *conn, m *transport.Message, related transport.Receiver) *call {
	k := &call{
		c: c, m: m, related: related, id: c.nextID(),
		notes: make(chan mcp.JSONRPCNotification, queued),
		asks:  make(chan *ask),
		over:  make(chan struct{}),
	}
	k.view = newView(k)
	return k
}

// to is who gets what belongs to the call, once Listen was called if need be.
func (k *call) to(ctx context.Context) transport.Receiver {
	if k.related != nil {
		return k.related
	}
	select {
	case <-k.c.listening:
		return k.c.receiver
	case <-ctx.Done():
	case <-k.c.done:
	}
	return refuse
}

// give hands a notification on.
func (k *call) give(ctx context.Context, n mcp.JSONRPCNotification) {
	m, err := message(n)
	if err != nil {
		return // what cannot be encoded cannot be sent
	}
	if k.m.Method == methodListen {
		m.Params = retag(m.Params, k.m.ID)
	}
	_, _ = k.to(ctx).Receive(ctx, m) // a notification has no reply
}

// drain hands on what the handler has sent so far.
func (k *call) drain(ctx context.Context) {
	for {
		select {
		case n := <-k.notes:
			k.c.room.changed()
			k.give(ctx, n)
		default:
			return
		}
	}
}

// end is called when nobody takes anything for the call any more. dropped
// says that what is still sent for it is of no use.
func (k *call) end(dropped bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case <-k.over:
	default:
		k.dropped = dropped
		close(k.over)
		k.c.room.changed()
	}
}

// ended reports whether the call is over, and whether it was given up.
func (k *call) ended() (over, dropped bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case <-k.over:
		return true, k.dropped
	default:
		return false, false
	}
}

// reply makes the caller's reply of the server's.
func (k *call) reply(r *transport.Message) *transport.Message {
	if r == nil {
		return k.m.ReplyError(transport.Errorf(transport.CodeInternal, "the server gave no answer"))
	}
	if k.m.Method == methodListen && r.Result != nil {
		r.Result = retag(r.Result, k.m.ID)
	}
	return r
}

const methodListen = "subscriptions/listen"

// ask is a request of the server.
type ask struct {
	k      *call // nil when it belongs to none
	c      *conn
	ctx    context.Context
	m      *transport.Message
	answer chan answer
}

type answer struct {
	m   *transport.Message
	err error
}

// request sends a request of the server to the client and decodes the result
// into v. It belongs to k as long as that lasts.
func (c *conn) request(ctx context.Context, k *call, method mcp.MCPMethod, params any, v any) error {
	m := &transport.Message{ID: c.nextID(), Method: string(method)}
	if params != nil {
		raw, err := encode(params)
		if err != nil {
			return err
		}
		m.Params = raw
	}
	a := &ask{k: k, c: c, ctx: ctx, m: m, answer: make(chan answer, 1)}
	if k == nil {
		a.start()
	} else {
		select {
		case k.asks <- a:
		case <-k.over:
			a.k = nil
			a.start()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case r := <-a.answer:
		switch {
		case r.err != nil:
			return r.err
		case r.m.Error != nil:
			return transport.ParseRPCError(r.m.Error)
		}
		return json.Unmarshal(r.m.Result, v)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// start has the client answer, in a goroutine of its own.
func (a *ask) start() {
	ok := a.c.spawn(func() {
		ctx, cancel := context.WithCancel(a.ctx)
		defer cancel()
		defer context.AfterFunc(a.c.ctx, cancel)()
		var to transport.Receiver
		if a.k != nil {
			to = a.k.to(ctx)
		} else {
			select {
			case <-a.c.listening:
				to = a.c.receiver
			case <-ctx.Done():
				to = refuse
			}
		}
		r, err := to.Receive(ctx, a.m)
		if err == nil && (r == nil || r.Result == nil && r.Error == nil) {
			err = transport.Errorf(transport.CodeInternal, "internal error")
		}
		if err != nil {
			err = transport.AsRPCError(err) // the server is a peer: it sees no more than one
		}
		a.answer <- answer{r, err}
	})
	if !ok {
		a.answer <- answer{err: transport.ErrClosed}
	}
}
