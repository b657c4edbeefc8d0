package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// oldStream is the stream of the HTTP+SSE transport (2024-11-05): all that the
// server sends comes on it, and messages to the server are posted to the
// endpoint that its first event names.
type oldStream struct {
	endpoint *url.URL
}

// wantsOld reports whether the answer to initialize is that of a server that
// may know only HTTP+SSE.
func wantsOld(reply *Message, err error) bool {
	status := 0
	var e *Error
	switch {
	case reply != nil && reply.Error != nil:
		switch ParseRPCError(reply.Error).Code {
		case CodeUnsupportedVersion, CodeHeaderMismatch, CodeMissingCapability, CodeMethodNotFound:
			return false
		}
		status = reply.Status
	case errors.As(err, &e):
		status = e.Status
	}
	return status == http.StatusBadRequest || status == http.StatusNotFound || status == http.StatusMethodNotAllowed
}

// openOld opens the stream and waits for the endpoint. The stream lives as
// long as the client.
func (c *HTTPClient) openOld(ctx context.Context) (*oldStream, error) {
	life, cancel := context.WithCancel(c.ctx)
	stop := context.AfterFunc(ctx, cancel) // until the endpoint is there
	defer stop()
	limit := time.AfterFunc(endpointWait, cancel)
	defer limit.Stop()
	old, err := c.readEndpoint(life, cancel)
	if err == nil && (!stop() || !limit.Stop()) {
		err = errors.New("no endpoint event in time")
	}
	if err != nil {
		cancel()
		return nil, err
	}
	c.old.Store(old)
	return old, nil
}

func (c *HTTPClient) readEndpoint(life context.Context, cancel context.CancelFunc) (*oldStream, error) {
	resp, err := c.openStream(life, "")
	if err != nil {
		return nil, err
	}
	r := NewEventReader(resp.Body, int(c.o.Reply))
	e, err := r.Next()
	for err == nil && e.Type == "" && len(e.Data) == 0 {
		e, err = r.Next()
	}
	switch {
	case err != nil:
		err = fmt.Errorf("waiting for the endpoint event: %w", err)
	case e.Type != "endpoint":
		err = errors.New("the first event of the stream is not the endpoint")
	}
	if err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	to, err := c.url.Parse(string(e.Data))
	if err != nil || !sameOrigin(c.url, to) || to.User != nil {
		_ = resp.Body.Close()
		return nil, errors.New("the server named an endpoint of another origin")
	}
	c.spawn(func() {
		defer cancel()
		c.readOld(resp.Body, r)
	})
	return &oldStream{endpoint: to}, nil
}

// readOld reads the stream to its end, which ends the client: this transport
// cannot resume.
func (c *HTTPClient) readOld(body io.ReadCloser, r *EventReader) {
	defer func() { _ = body.Close() }()
	for {
		e, err := r.Next()
		if err != nil {
			if err == io.EOF {
				err = ErrClosed
			}
			c.breakOff(fmt.Errorf("the stream of %s ended: %w", c.name, err))
			return
		}
		if e.Type == "" && len(e.Data) > 0 {
			c.takeFree(r.own(e))
		}
	}
}

// breakOff ends the client and every call in flight with err.
func (c *HTTPClient) breakOff(err error) {
	c.end(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.calls {
		call.cancel(&Error{Sent: call.posted.Load(), Err: err})
	}
}

// callOld does a call by HTTP+SSE: the answer to the POST says only that it
// was taken.
func (c *HTTPClient) callOld(call *httpCall, old *oldStream) (*Message, error) {
	w := *call.m
	w.ID = wireID(call.id)
	req, err := c.postRequest(call.ctx, old.endpoint, &w, "")
	if err != nil {
		return nil, err
	}
	call.posted.Store(true)
	resp, err := c.roundTrip(req)
	c.recycle(req)
	if err != nil {
		return nil, err
	}
	discard(resp.Body)
	if resp.StatusCode >= 300 {
		return nil, c.statusError(req, resp, "")
	}
	<-call.ctx.Done() // answered, broken off, cancelled or closed
	return nil, context.Cause(call.ctx)
}
