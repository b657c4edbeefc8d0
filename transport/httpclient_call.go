package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// do sends a call and waits for its reply.
func (c *HTTPClient) do(call *httpCall) (*Message, error) {
	if old := c.old.Load(); old != nil {
		return c.callOld(call, old)
	}
	reply, err := c.stream(call)
	if call.m.Method == "initialize" && !c.o.DisableSSE && wantsOld(reply, err) {
		old, fault := c.openOld(call.ctx)
		switch {
		case fault == nil:
			return c.callOld(call, old)
		case err != nil:
			var e *Error
			if errors.As(err, &e) {
				e.Err = fmt.Errorf("%w; nor does it offer HTTP+SSE: %w", e.Err, fault)
			}
		}
	}
	return reply, err
}

// stream does a call by Streamable HTTP.
func (c *HTTPClient) stream(call *httpCall) (*Message, error) {
	m := call.m
	version := c.modernVersion(m)
	call.modern = version != ""
	w := *m
	w.ID = wireID(call.id)
	req, err := c.postRequest(call.ctx, c.url, &w, version)
	if err != nil {
		return nil, err
	}
	call.posted.Store(true)
	resp, err := c.roundTrip(req)
	c.recycle(req)
	if err != nil {
		return nil, err
	}
	if m.Method == "initialize" {
		if err := c.keepSession(resp); err != nil {
			discard(resp.Body)
			return nil, err
		}
	}
	if resp.StatusCode != http.StatusOK {
		return c.readStatus(call, req, resp, &w)
	}
	switch mediaType(resp.Header) {
	case typeJSON:
		return c.readJSON(call, resp)
	case typeEvents:
		return c.readStream(call, resp.Body)
	}
	discard(resp.Body)
	return nil, c.statusError(req, resp, fmt.Sprintf("with the content type %.60q instead of a reply", resp.Header.Get("Content-Type")))
}

// postRequest makes the POST of one message. version is that of a modern
// request, else empty.
func (c *HTTPClient) postRequest(ctx context.Context, to *url.URL, m *Message, version string) (*http.Request, error) {
	req, err := c.request(ctx, http.MethodPost, to, m.Append(c.bodyBuffer(m.Size())))
	if err != nil {
		return nil, err
	}
	h := req.Header
	for k, v := range m.Header {
		if _, set := h[k]; set || reservedHeader(k) {
			continue
		}
		for _, s := range v {
			if !validHeaderName(k) || !validHeaderValue(s) {
				return nil, &Error{Err: fmt.Errorf("a header of the message is not valid: %.60q", k)}
			}
		}
		h[k] = v
	}
	h["Content-Type"] = valueJSON
	h["Accept"] = valueAcceptBoth
	switch {
	case version != "":
		setModern(h, m, version)
	case m.Method != "initialize":
		c.setLegacy(h)
	}
	return req, nil
}

// keepSession takes the session id from the answer to initialize.
func (c *HTTPClient) keepSession(resp *http.Response) error {
	id := resp.Header.Get("Mcp-Session-Id")
	if id == "" || resp.StatusCode != http.StatusOK {
		return nil
	}
	for i := range len(id) {
		if id[i] < 0x21 || id[i] > 0x7e {
			return &Error{Status: resp.StatusCode, Sent: true, Err: errors.New("the server gave a session id with characters that are not allowed")}
		}
	}
	if len(id) > maxSessionID {
		return &Error{Status: resp.StatusCode, Sent: true, Err: fmt.Errorf("the server gave a session id of more than %d bytes", maxSessionID)}
	}
	c.session.Store(&id)
	return nil
}

// readStatus reads an answer that is not 200.
func (c *HTTPClient) readStatus(call *httpCall, req *http.Request, resp *http.Response, w *Message) (*Message, error) {
	code := resp.StatusCode
	if code < 400 {
		discard(resp.Body)
		return nil, c.statusError(req, resp, "instead of a reply")
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	_ = resp.Body.Close()
	if err != nil && call.ctx.Err() != nil {
		return nil, context.Cause(call.ctx)
	}
	if code == http.StatusUnauthorized || code == http.StatusForbidden {
		return nil, c.statusError(req, resp, "")
	}
	reply, ok := bodyError(body, w.ID, c.o.Depth)
	if code == http.StatusNotFound && req.Header["Mcp-Session-Id"] != nil {
		if !ok || ParseRPCError(reply.Error).Code != CodeMethodNotFound {
			return nil, c.expired(resp)
		}
	}
	if !ok {
		return nil, c.statusError(req, resp, "")
	}
	reply.Status = code
	reply.Header = keptHeader(resp.Header)
	return reply, nil
}

// expired ends the conn because the server lost the session.
func (c *HTTPClient) expired(resp *http.Response) error {
	err := fmt.Errorf("%s: %w", c.name, ErrSessionExpired)
	c.end(err)
	return &Error{Status: resp.StatusCode, Header: keptHeader(resp.Header), Err: err}
}

// readJSON reads a reply that is the whole body.
func (c *HTTPClient) readJSON(call *httpCall, resp *http.Response) (*Message, error) {
	l := lend(c.replies, resp.ContentLength)
	body, err := readAll(resp.Body, resp.ContentLength, c.o.Reply, l)
	_ = resp.Body.Close()
	if err != nil {
		return nil, c.readError(call, err)
	}
	reply, err := c.take(call, body)
	if err == nil && reply == nil {
		err = &Error{Status: resp.StatusCode, Sent: true, Err: fmt.Errorf("%s answered without a reply to the request", c.name)}
	}
	if reply != nil {
		reply.Status = resp.StatusCode
		if body[0] == '{' { // not one of a batch
			reply.memory = l
		}
	}
	return reply, err
}

// readError words a failure while an answer was read.
func (c *HTTPClient) readError(call *httpCall, err error) error {
	if cause := context.Cause(call.ctx); cause != nil {
		return cause
	}
	return &Error{Sent: true, Err: fmt.Errorf("reading the answer of %s: %w", c.name, err)}
}

// take handles what came on a call's own stream: one message, or a batch of
// the 2025-03-26 revision. It returns the reply when it was among it. b is
// kept.
func (c *HTTPClient) take(call *httpCall, b []byte) (reply *Message, err error) {
	parts, batch := Batch(b)
	if !batch {
		return c.takeOne(call, b)
	}
	for _, p := range parts {
		r, err := c.takeOne(call, p)
		if err != nil {
			return nil, err
		}
		if r != nil {
			reply = r
		}
	}
	return reply, nil
}

func (c *HTTPClient) takeOne(call *httpCall, b []byte) (*Message, error) {
	m, err := Parse(b, Limits{Body: c.o.Reply, Depth: c.o.Depth})
	if err != nil {
		return nil, c.malformed(call, m, err)
	}
	if !m.IsResponse() {
		c.dispatch(call, m)
		return nil, nil
	}
	if id := wireID(call.id); !bytes.Equal(m.ID, id) && !(m.Error != nil && rawjson.KindOf(m.ID) == rawjson.Null) {
		c.answered(m)
		return nil, nil
	}
	return m, nil
}

// malformed is the error of a message that cannot be read. It is that of the
// call only if the message may have been its reply.
func (c *HTTPClient) malformed(call *httpCall, m *Message, err error) error {
	if m != nil && !bytes.Equal(m.ID, wireID(call.id)) {
		return nil
	}
	return &Error{Sent: true, Err: fmt.Errorf("%s sent what is no valid message: %w", c.name, err)}
}

// post sends a message that gets no reply.
func (c *HTTPClient) post(ctx context.Context, m *Message) error {
	to, version := c.url, ""
	if old := c.old.Load(); old != nil {
		to = old.endpoint
	} else {
		version = c.modernVersion(m)
	}
	req, err := c.postRequest(ctx, to, m, version)
	if err != nil {
		return err
	}
	resp, err := c.roundTrip(req)
	c.recycle(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	defer discard(resp.Body)
	switch {
	case resp.StatusCode < 300:
		return nil
	case resp.StatusCode == http.StatusNotFound && req.Header["Mcp-Session-Id"] != nil:
		return c.expired(resp)
	}
	return c.statusError(req, resp, "")
}
