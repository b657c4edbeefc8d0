package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// dispatch hands on a request or notification of the server. call is the one
// on whose stream it came, or nil.
func (c *HTTPClient) dispatch(call *httpCall, m *Message) {
	switch {
	case m.Method == methodCancelled && m.ID == nil:
		if id, ok := rawjson.Get(m.Params, "requestId"); ok {
			c.mu.Lock()
			cancel := c.serving[string(id)]
			c.mu.Unlock()
			if cancel != nil {
				cancel()
			}
		}
	case m.ID != nil:
		if call == nil || !call.modern { // a modern server must not ask, and could not be answered
			c.serve(call, m)
		}
	default:
		if call == nil && m.Method == methodProgress {
			call = c.byToken(m.Params)
		}
		if call == nil {
			c.deliver(m)
			return
		}
		if call.m.Method == methodListen {
			n := *m
			n.Params = retag(m.Params, call.m.ID)
			m = &n
		}
		call.deliver(c, m)
	}
}

// deliver hands a notification to the call's receiver, unless the call is
// over.
func (call *httpCall) deliver(c *HTTPClient, m *Message) {
	if call.related == nil {
		c.deliver(m)
		return
	}
	call.mu.Lock()
	defer call.mu.Unlock()
	if !call.over {
		_, _ = call.related.Receive(call.ctx, m) // a notification has no reply
	}
}

// deliver hands a notification to the receiver of Listen, one at a time.
func (c *HTTPClient) deliver(m *Message) {
	select {
	case <-c.listening:
	case <-c.ctx.Done():
		return
	}
	c.order.Lock()
	defer c.order.Unlock()
	if c.receiver != nil && c.ctx.Err() == nil {
		_, _ = c.receiver.Receive(c.ctx, m)
	}
}

// serve runs a request of the server in a goroutine of its own and posts the
// answer.
func (c *HTTPClient) serve(call *httpCall, m *Message) {
	var to Receiver
	if call != nil && call.related != nil {
		to = call.related
	} else {
		select {
		case <-c.listening:
			to = c.receiver
		case <-c.ctx.Done():
			return
		}
	}
	key := string(m.ID)
	ctx, cancel := context.WithCancel(c.ctx)
	c.mu.Lock()
	_, twice := c.serving[key]
	full := len(c.serving) >= c.o.Requests
	if !twice && !full {
		c.serving[key] = cancel
	}
	c.mu.Unlock()
	switch {
	case twice:
		cancel()
		c.answer(m, nil, Errorf(CodeInvalidRequest, "a request with this id is still running"))
		return
	case full:
		// In this goroutine: it slows down the stream that asks too much.
		cancel()
		c.answer(m, nil, Errorf(CodeLimit, "more than %d requests at once (requests)", c.o.Requests))
		return
	case to == nil:
		to = refuse
	}
	c.spawn(func() {
		reply, err := to.Receive(ctx, m)
		c.mu.Lock()
		delete(c.serving, key)
		c.mu.Unlock()
		if ctx.Err() == nil { // who cancelled wants no answer
			c.answer(m, reply, err)
		}
		cancel()
	})
}

// refuse is the receiver of those who set none.
var refuse = ReceiverFunc(func(_ context.Context, m *Message) (*Message, error) {
	return nil, Errorf(CodeMethodNotFound, "the client does not serve %s", m.Method)
})

// answer posts the response to a request of the server.
func (c *HTTPClient) answer(m, reply *Message, err error) {
	switch {
	case err != nil:
		reply = m.ReplyError(err)
	case reply == nil || reply.Result == nil && reply.Error == nil:
		reply = m.ReplyError(Errorf(CodeInternal, "internal error"))
	default:
		reply = &Message{ID: m.ID, Result: reply.Result, Error: reply.Error, Extra: reply.Extra}
	}
	ctx, cancel := context.WithTimeout(c.ctx, answerTimeout)
	defer cancel()
	_ = c.post(ctx, reply) // the server that does not take it will time out; nobody here waits for it
}

// pending returns the call with an id on the wire.
func (c *HTTPClient) pending(id json.RawMessage) *httpCall {
	n, err := strconv.ParseUint(string(id), 10, 64)
	if err != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[n]
}

// answered ends the call whose reply came on a stream that is not its own.
func (c *HTTPClient) answered(m *Message) {
	call := c.pending(m.ID)
	if call == nil {
		return
	}
	call.mu.Lock()
	if !call.over && call.reply == nil {
		m.Status = http.StatusOK
		call.reply = m
	}
	call.mu.Unlock()
	call.cancel(errAnswered)
}

// byToken returns the call whose progress token a notification carries.
func (c *HTTPClient) byToken(params json.RawMessage) *httpCall {
	token, ok := rawjson.Get(params, "progressToken")
	if !ok {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.calls {
		if own, ok := rawjson.Get(call.m.Params, "_meta", "progressToken"); ok && bytes.Equal(own, token) {
			return call
		}
	}
	return nil
}
