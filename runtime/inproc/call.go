package inproc

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/gatehouse-mcp/gatehouse/transport"
)

// call is a call in flight.
type call struct {
	c       *conn
	m       *transport.Message
	related transport.Receiver
	id      json.RawMessage // that the server knows
	view    *view
	out     outbox
	asks    chan *ask
	filter  mcp.SubscriptionFilter // of a stream of notifications; guarded by the session's mu

	mu      sync.Mutex
	over    chan struct{} // closed when nobody takes from out and asks any more
	dropped bool          // the caller gave up
}

func newCall(c *conn, m *transport.Message, related transport.Receiver) *call {
	k := &call{
		c: c, m: m, related: related, id: c.nextID(),
		out:  newOutbox(),
		asks: make(chan *ask),
		over: make(chan struct{}),
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

// give hands on a notification that was taken out of the outbox.
func (k *call) give(ctx context.Context, n mcp.JSONRPCNotification) {
	k.out.release()
	if n.Method == mcp.MethodNotificationSubscriptionsAcknowledged {
		k.c.session.stream(k)
	}
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
		case n := <-k.out.notes:
			k.give(ctx, n)
		default:
			return
		}
	}
}

// end is called when nobody waits for what is sent for the call any more.
// dropped says that it is of no use; otherwise it belongs to the session.
func (k *call) end(dropped bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !closed(k.over) {
		k.dropped = dropped
		close(k.over)
	}
}

// gaveUp reports whether the caller did.
func (k *call) gaveUp() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dropped
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
			if k.gaveUp() {
				return context.Canceled
			}
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
