package transport

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

const allowedMethods = "GET, POST, DELETE, OPTIONS"

// ServeHTTP serves the MCP endpoint.
func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, ok := h.admit(w, r, allowedMethods)
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
	if r.Method == http.MethodPost {
		ex.servePost()
		return
	}
	version, _, _ := one(r.Header, "Mcp-Protocol-Version")
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodDelete:
		w.Header().Set("Allow", allowedMethods)
		ex.refuse(http.StatusMethodNotAllowed, nil, CodeInvalidRequest, "the method %s is not allowed here", cut(r.Method))
	case EraOf(version) == Modern:
		w.Header().Set("Allow", "POST, OPTIONS")
		ex.refuse(http.StatusMethodNotAllowed, nil, CodeInvalidRequest, "%s is not part of protocol version %s", r.Method, cut(version))
	case r.Method == http.MethodGet:
		ex.serveGet()
	default:
		if s := ex.legacySession(nil); s != nil {
			s.end(errDeleted)
			ex.close()
			w.WriteHeader(http.StatusNoContent)
		}
	}
}

// Reasons for which a session is not there.
var (
	errDeleted   = errors.New("the client ended the session")
	errNoSession = Errorf(CodeInvalidRequest, "the session is unknown or has ended: send initialize without Mcp-Session-Id to open another")
)

// servePost serves a message of a client.
func (ex *frontExchange) servePost() {
	h, r := ex.h, ex.r
	if ex.asJSON, ex.asEvents = accepts(r.Header); !ex.asJSON && !ex.asEvents {
		ex.refuse(http.StatusNotAcceptable, nil, CodeInvalidRequest, "the Accept header takes neither application/json nor text/event-stream")
		return
	}
	if !sendsJSON(r.Header) {
		ex.refuse(http.StatusUnsupportedMediaType, nil, CodeInvalidRequest, "the Content-Type must be application/json")
		return
	}
	body, fault := ex.readBody()
	if fault != nil {
		ex.refuseError(fault.status, null, fault.err)
		return
	}
	if rawjson.KindOf(body) == rawjson.Array {
		ex.serveBatch(body)
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
	var version json.RawMessage
	if m.Params != nil {
		version, _ = rawjson.Get(m.Params, "_meta", MetaVersion)
	}
	if version != nil || modernHeader(r.Header) {
		ex.serveModern(m, version)
		return
	}
	ex.serveLegacy(m)
}

func modernHeader(h http.Header) bool {
	v := h["Mcp-Protocol-Version"]
	return len(v) > 0 && EraOf(v[0]) == Modern
}

// legacyVersion checks the header that names the revision. Before 2025-06-18
// there was none.
func (ex *frontExchange) legacyVersion(id json.RawMessage) bool {
	version, present, ok := one(ex.r.Header, "Mcp-Protocol-Version")
	switch {
	case !ok:
		ex.refuse(http.StatusBadRequest, id, CodeInvalidRequest, "the header MCP-Protocol-Version stands more than once")
	case present && !slices.Contains(LegacyVersions, version):
		ex.refuse(http.StatusBadRequest, id, CodeInvalidRequest, "the header MCP-Protocol-Version is %q, which is not one of %s", cut(version), strings.Join(LegacyVersions, ", "))
	default:
		return true
	}
	return false
}

// legacySession finds the session that the request names; it answers a request
// that names none.
func (ex *frontExchange) legacySession(id json.RawMessage) *frontSession {
	if !ex.legacyVersion(id) {
		return nil
	}
	sid, _, ok := one(ex.r.Header, "Mcp-Session-Id")
	switch {
	case !ok:
		ex.refuse(http.StatusBadRequest, id, CodeInvalidRequest, "the header Mcp-Session-Id stands more than once")
		return nil
	case sid == "":
		ex.refuse(http.StatusBadRequest, id, CodeInvalidRequest, "the header Mcp-Session-Id is missing: send initialize first, or, for %s, describe the request in params._meta", VersionModern)
		return nil
	}
	s := ex.h.session(sid, &ex.p)
	if s == nil || s.old {
		ex.refuseError(http.StatusNotFound, id, errNoSession)
		return nil
	}
	return s
}

// serveLegacy serves one message of the legacy era.
func (ex *frontExchange) serveLegacy(m *Message) {
	if m.Method == "initialize" && m.IsRequest() {
		ex.serveInitialize(m)
		return
	}
	id := m.ID
	if m.IsResponse() {
		id = nil
	}
	s := ex.legacySession(id)
	if s == nil {
		return
	}
	if !m.IsRequest() {
		s.take(m)
		ex.accepted()
		return
	}
	if err := ex.h.begin(&ex.p, 1); err != nil {
		_ = ex.answer(m.ID, nil, err) // a client that has gone gets no answer
		return
	}
	defer ex.h.done(&ex.p, 1)
	ex.open(s)
	ex.call.values = ex.r.Context()
	reply, err := s.call(ex, &ex.call, m)
	_ = ex.answer(m.ID, reply, err) // a client that has gone may resume
}

// serveInitialize opens a session. It exists for the client only if the host
// says so.
func (ex *frontExchange) serveInitialize(m *Message) {
	h := ex.h
	if !ex.legacyVersion(m.ID) {
		return
	}
	if ex.r.Header["Mcp-Session-Id"] != nil {
		ex.refuse(http.StatusBadRequest, m.ID, CodeInvalidRequest, "initialize opens a session: send it without Mcp-Session-Id")
		return
	}
	if err := h.begin(&ex.p, 1); err != nil {
		_ = ex.answer(m.ID, nil, err) // a client that has gone gets no answer
		return
	}
	defer h.done(&ex.p, 1)
	s, err := h.newSession(ex.p, false)
	if err != nil {
		_ = ex.answer(m.ID, nil, err)
		return
	}
	ok := false
	defer func() {
		if !ok {
			s.end(errors.New("initialize failed"))
		}
	}()
	if err := s.accept(ex.r.Context()); err != nil {
		h.o.Logger.Debug("a session was not accepted", "error", err)
		_ = ex.answer(m.ID, nil, err)
		return
	}
	ex.open(nil)
	ex.call.values = ex.r.Context()
	reply, err := s.call(ex, &ex.call, m)
	if err != nil || reply == nil || reply.Result == nil {
		_ = ex.answer(m.ID, reply, err)
		return
	}
	v, _ := rawjson.Get(reply.Result, "protocolVersion")
	s.version, _ = rawjson.String(v)
	if !s.publish() {
		_ = ex.answer(m.ID, nil, s.gone())
		return
	}
	ok = true
	ex.w.Header()["Mcp-Session-Id"] = []string{s.id}
	if !ex.asJSON {
		ex.open(s) // from here on the answer may be a stream
	}
	if ex.answer(m.ID, reply, nil) != nil {
		s.end(errors.New("the client went away before it learned its session"))
	}
}

// serveBatch serves an array of messages, which only revision 2025-03-26 has.
func (ex *frontExchange) serveBatch(body []byte) {
	if err := rawjson.Valid(body, ex.h.o.Limits.Depth); err != nil {
		ex.refuseError(http.StatusBadRequest, null, AsRPCError(rpcError(err)))
		return
	}
	if modernHeader(ex.r.Header) || ex.r.Header["Mcp-Session-Id"] == nil {
		ex.refuse(http.StatusBadRequest, null, CodeInvalidRequest, "a batch is only allowed in a session of protocol version %s", versionBatch)
		return
	}
	s := ex.legacySession(null)
	if s == nil {
		return
	}
	if s.version != versionBatch {
		ex.refuse(http.StatusBadRequest, null, CodeInvalidRequest, "a batch is only allowed in a session of protocol version %s; this one speaks %s", versionBatch, cut(s.version))
		return
	}
	parts, err := batchOf(body)
	if err != nil {
		ex.refuseError(http.StatusBadRequest, null, err)
		return
	}
	messages := make([]*Message, len(parts))
	requests := 0
	for i, part := range parts {
		m, err := Parse(part, ex.h.o.Limits)
		switch {
		case err != nil:
			id := null
			if m != nil {
				id = m.ID
			}
			ex.refuseError(http.StatusBadRequest, id, AsRPCError(err))
			return
		case m.Method == "initialize":
			ex.refuse(http.StatusBadRequest, m.ID, CodeInvalidRequest, "initialize must not be part of a batch")
			return
		case m.IsRequest():
			requests++
		}
		messages[i] = m
	}
	if requests > 0 {
		if err := ex.h.begin(&ex.p, requests); err != nil {
			_ = ex.answer(null, nil, err) // a client that has gone gets no answer
			return
		}
		defer ex.h.done(&ex.p, requests)
	}
	ex.open(s)
	var calls sync.WaitGroup
	for _, m := range messages {
		if !m.IsRequest() {
			s.take(m)
			continue
		}
		calls.Go(func() {
			c := &frontCall{values: ex.r.Context()}
			reply, err := s.call(ex, c, m)
			out, _ := outcome(m.ID, reply, err)
			ex.part(out.Append(make([]byte, 0, out.Size())))
		})
	}
	calls.Wait()
	if requests == 0 {
		ex.accepted()
		return
	}
	ex.answerBatch()
}

// answerBatch sends the replies of a batch.
func (ex *frontExchange) answerBatch() {
	ex.mu.Lock()
	if !ex.asJSON && ex.stream == nil {
		ex.commit()
	}
	ex.state = exchangeDone
	st := ex.stream
	ex.mu.Unlock()
	if st != nil {
		st.finish(nil)
		<-ex.writer
		return
	}
	b := []byte{'['}
	for i, reply := range ex.replies {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, reply...)
	}
	_ = ex.h.writeJSON(ex.w, ex.rc, http.StatusOK, append(b, ']')) // a client that has gone gets no answer
}

// serveGet opens a stream for what belongs to no call, or resumes one.
func (ex *frontExchange) serveGet() {
	if _, events := accepts(ex.r.Header); !events {
		ex.refuse(http.StatusNotAcceptable, nil, CodeInvalidRequest, "the Accept header must take text/event-stream")
		return
	}
	s := ex.legacySession(nil)
	if s == nil {
		return
	}
	last, resume, ok := one(ex.r.Header, "Last-Event-Id")
	if !ok {
		ex.refuse(http.StatusBadRequest, nil, CodeInvalidRequest, "the header Last-Event-ID stands more than once")
		return
	}
	if !resume && !ex.h.mayListen() {
		_ = ex.answer(nil, nil, errDraining()) // a client that has gone gets no answer
		return
	}
	k := newFrontSink(ex.w, ex.rc)
	k.get = true
	s.mu.Lock()
	var st *frontStream
	var rest []*frontEvent
	var fault *RPCError
	switch {
	case s.err != nil:
		s.mu.Unlock()
		_ = ex.answer(nil, nil, s.gone())
		return
	case resume:
		st, rest, fault = s.resume(last)
	case !s.mayListen():
		fault = s.tooManyStreams()
	default:
		st = &frontStream{h: s.h, sess: s, mu: &s.mu, standing: true}
		s.register(st)
		k.hail = s.hail(st)
	}
	if fault != nil {
		s.mu.Unlock()
		status := http.StatusBadRequest
		if fault.Code == CodeLimit {
			status = http.StatusTooManyRequests
		}
		ex.refuseError(status, nil, fault)
		return
	}
	if st.ended && len(rest) == 0 {
		s.mu.Unlock()
		ex.close()
		ex.w.WriteHeader(http.StatusNoContent) // which tells an event source to stop asking
		return
	}
	st.attach(k)
	for _, e := range rest {
		k.queue.push(e)
	}
	if st.standing {
		if i := slices.Index(s.standing, st); i >= 0 {
			s.standing = slices.Delete(s.standing, i, i+1)
		}
		s.standing = append(s.standing, st)
		s.flush(st)
	}
	s.mu.Unlock()
	ex.mu.Lock()
	ex.state, ex.stream = exchangeDone, st
	ex.mu.Unlock()
	k.run(ex.r.Context())
}

// mayListen reports whether new streams are opened.
func (h *HTTP) mayListen() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.draining
}
