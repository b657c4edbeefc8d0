package transport

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// SSEHandler returns the front of HTTP+SSE (2024-11-05), or nil when
// [HTTPOptions.LegacySSE] is not set. It is mounted at two paths of one folder,
// of which the second is named messages:
//
//	mux.Handle("/sse", h.SSEHandler())
//	mux.Handle("/messages", h.SSEHandler())
//
// A GET opens a session and a stream, whose first event tells the client where
// to post, relative to the path of the GET. The session ends with the stream.
func (h *HTTP) SSEHandler() http.Handler {
	if !h.o.LegacySSE {
		return nil
	}
	return http.HandlerFunc(h.serveSSE)
}

func (h *HTTP) serveSSE(w http.ResponseWriter, r *http.Request) {
	const methods = "GET, POST, OPTIONS"
	p, ok := h.admit(w, r, methods)
	if !ok {
		return
	}
	ex := &frontExchange{h: h, w: w, r: r, rc: http.NewResponseController(w), p: p}
	if r.Method != http.MethodPost {
		ex.state = exchangeRead
	}
	if !h.enter(ex) {
		h.unavailable(w, r)
		return
	}
	defer h.leave(ex)
	switch r.Method {
	case http.MethodGet:
		ex.serveOldStream()
	case http.MethodPost:
		ex.serveOldPost()
	default:
		w.Header().Set("Allow", methods)
		ex.refuse(http.StatusMethodNotAllowed, nil, CodeInvalidRequest, "the method %s is not allowed here", cut(r.Method))
	}
}

// serveOldStream opens a session of HTTP+SSE and holds its stream.
func (ex *frontExchange) serveOldStream() {
	if _, events := accepts(ex.r.Header); !events {
		ex.refuse(http.StatusNotAcceptable, nil, CodeInvalidRequest, "the Accept header must take text/event-stream")
		return
	}
	s, err := ex.h.newSession(ex.p, true)
	if err != nil {
		_ = ex.answer(nil, nil, err) // a client that has gone gets no answer
		return
	}
	defer s.end(errors.New("the client closed the stream"))
	if err := s.accept(ex.r.Context()); err != nil {
		_ = ex.answer(nil, nil, err)
		return
	}
	k := newFrontSink(ex.w, ex.rc)
	k.get = true
	k.hail = AppendEvent(nil, "", "endpoint", 0, []byte("messages?session_id="+url.QueryEscape(s.id)))
	st := &frontStream{h: ex.h, sess: s, mu: &s.mu, standing: true, kind: "message"}
	s.mu.Lock()
	s.register(st)
	st.attach(k)
	s.standing = append(s.standing, st)
	s.flush(st)
	s.mu.Unlock()
	if !s.publish() {
		s.mu.Lock()
		k.abort()
		s.mu.Unlock()
		_ = ex.answer(nil, nil, s.gone())
		return
	}
	ex.mu.Lock()
	ex.state, ex.stream = exchangeDone, st
	ex.mu.Unlock()
	k.run(ex.r.Context())
}

// serveOldPost takes a message of HTTP+SSE. The reply leaves on the stream.
func (ex *frontExchange) serveOldPost() {
	h := ex.h
	if !sendsJSON(ex.r.Header) {
		ex.refuse(http.StatusUnsupportedMediaType, nil, CodeInvalidRequest, "the Content-Type must be application/json")
		return
	}
	body, fault := ex.readBody()
	if fault != nil {
		ex.refuseError(fault.status, null, fault.err)
		return
	}
	m, err := Parse(body, h.o.Limits)
	if err != nil {
		id := null
		if m != nil {
			id = m.ID
		}
		ex.refuseError(http.StatusBadRequest, id, AsRPCError(err))
		return
	}
	s := h.session(ex.r.URL.Query().Get("session_id"), &ex.p)
	if s == nil || !s.old {
		ex.refuse(http.StatusNotFound, nil, CodeInvalidRequest, "the session is unknown or has ended: open another by GET")
		return
	}
	if !m.IsRequest() {
		s.take(m)
		ex.accepted()
		return
	}
	if err := h.begin(&ex.p, 1); err != nil {
		_ = ex.answer(m.ID, nil, err) // a client that has gone gets no answer
		return
	}
	values := ex.r.Context()
	h.mu.Lock()
	h.handlers++ // for the goroutine, which Close waits for
	h.mu.Unlock()
	go func() {
		defer func() {
			h.mu.Lock()
			h.exit()
			h.mu.Unlock()
		}()
		defer h.done(&s.p, 1)
		c := &frontCall{sess: s, id: string(m.ID), values: values}
		c.Context, c.cancel = context.WithCancel(s.ctx)
		reply, err := s.run(c, m)
		out, _ := outcome(m.ID, reply, err)
		_ = s.post(&frontEvent{data: out.Append(make([]byte, 0, out.Size()))}) // without room for it the session ends
	}()
	ex.accepted()
}
