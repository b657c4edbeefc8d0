package transport

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// writeChunk is how much one deadline covers.
const writeChunk = 256 << 10

// writeBuffers holds buffers for what is written in one piece.
var writeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// keepBuffer is the largest buffer that goes back to the pool.
const keepBuffer = 1 << 20

func putBuffer(p *[]byte, b []byte) {
	if cap(b) <= keepBuffer {
		*p = b[:0]
		writeBuffers.Put(p)
	}
}

// bodyFault is why a body could not be read.
type bodyFault struct {
	status int
	err    *RPCError
}

// readBody reads the body of a POST within the limits. The buffer is as large
// as the client said, but memory is only taken as bytes come in. It is not
// pooled: the parts of the message alias it.
func (ex *frontExchange) readBody() ([]byte, *bodyFault) {
	limit := ex.h.o.Limits.Body
	size := ex.r.ContentLength
	if size > limit {
		return nil, tooLarge(limit)
	}
	if ex.r.Body == nil {
		size = 0
	}
	if size == 0 {
		return nil, ex.received()
	}
	n := size
	if n < 0 {
		n = 1 << 10
	}
	buf := make([]byte, 0, min(n, firstReadBound))
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := ex.r.Body.Read(buf[len(buf):min(int64(cap(buf)), limit+1)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > limit:
			return nil, tooLarge(limit)
		case int64(len(buf)) == size, err == io.EOF:
			return buf, ex.received()
		case err != nil:
			if f := ex.received(); f != nil {
				return nil, f
			}
			var max *http.MaxBytesError
			switch {
			case errors.As(err, &max):
				return nil, tooLarge(max.Limit)
			case errors.Is(err, os.ErrDeadlineExceeded):
				return nil, tooSlow(ex.h.o.BodyTimeout)
			}
			return nil, &bodyFault{http.StatusBadRequest, Errorf(CodeParse, "the body ended early")}
		}
	}
}

// received notes that the body was read; a fault when that took too long, or
// the front has closed meanwhile.
func (ex *frontExchange) received() *bodyFault {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	switch {
	case ex.state == exchangeLate:
		return tooSlow(ex.h.o.BodyTimeout)
	case ex.closed:
		return &bodyFault{http.StatusServiceUnavailable, Errorf(CodeUnavailable, "the gateway is shutting down")}
	}
	ex.state = exchangeRead
	return nil
}

func tooLarge(limit int64) *bodyFault {
	return &bodyFault{http.StatusRequestEntityTooLarge, limited("body", "the body is longer than the limit of %d bytes", limit)}
}

func tooSlow(limit time.Duration) *bodyFault {
	e := limited("BodyTimeout", "the body did not come within the limit of %s", limit)
	e.Code = CodeTimeout
	return &bodyFault{http.StatusRequestTimeout, e}
}

// later is an error that asks to try again.
func later(status int, e *RPCError) error {
	return &Error{Status: status, Header: http.Header{"Retry-After": {retryAfter}}, Err: e}
}

// errDraining is the answer while the front shuts down.
func errDraining() error {
	return later(http.StatusServiceUnavailable, Errorf(CodeUnavailable, "the gateway is shutting down"))
}

// refuse answers a request that is not passed on with a JSON-RPC error. A nil
// id is left out.
func (h *HTTP) refuse(w http.ResponseWriter, r *http.Request, status int, id json.RawMessage, code int, text string) {
	h.refuseError(w, r, status, id, Errorf(code, "%s", text))
}

func (h *HTTP) refuseError(w http.ResponseWriter, r *http.Request, status int, id json.RawMessage, e *RPCError) {
	rc := http.NewResponseController(w)
	if r.ContentLength != 0 {
		// What was not read of the body is drained by the server, not for long.
		_ = rc.SetReadDeadline(time.Now().Add(time.Second)) // not every writer has deadlines
		if status == http.StatusRequestEntityTooLarge || status == http.StatusRequestTimeout || h.ctx.Err() != nil {
			w.Header()["Connection"] = []string{"close"}
		}
	}
	b := append(make([]byte, 0, 256), `{"jsonrpc":"2.0"`...)
	if id != nil {
		b = append(b, `,"id":`...)
		b = append(b, id...)
	}
	b = append(b, `,"error":`...)
	b = append(b, e.Raw()...)
	b = append(b, '}')
	_ = h.writeJSON(w, rc, status, b) // a client that has gone gets no answer
}

// unavailable refuses while draining.
func (h *HTTP) unavailable(w http.ResponseWriter, r *http.Request) {
	w.Header()["Retry-After"] = []string{retryAfter}
	h.refuse(w, r, http.StatusServiceUnavailable, nil, CodeUnavailable, "the gateway is shutting down")
}

// null is the id of an answer to what could not be read.
var null = json.RawMessage("null")

// unsupported is the error for a revision that nobody here speaks.
func (h *HTTP) unsupported(version string) *RPCError {
	e := Errorf(CodeUnsupportedVersion, "unsupported protocol version %q", cut(version))
	b := append([]byte(nil), `{"supported":`...)
	b = append(b, h.supported...)
	b = append(b, `,"requested":`...)
	b = rawjson.AppendString(b, cut(version))
	e.Data = append(b, '}')
	return e
}

// writeJSON sends a whole answer and waits until the connection has taken it.
func (h *HTTP) writeJSON(w http.ResponseWriter, rc *http.ResponseController, status int, b []byte) error {
	header := w.Header()
	header["Content-Type"] = valueJSON
	header["Content-Length"] = []string{strconv.Itoa(len(b))}
	_ = rc.SetWriteDeadline(h.writeLimit()) // not every writer has deadlines
	w.WriteHeader(status)
	for len(b) > writeChunk {
		if _, err := w.Write(b[:writeChunk]); err != nil {
			return err
		}
		b = b[writeChunk:]
		_ = rc.SetWriteDeadline(h.writeLimit())
	}
	if _, err := w.Write(b); err != nil {
		return err
	}
	if err := rc.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	_ = rc.SetWriteDeadline(time.Time{})
	return nil
}

// writeLimit is the deadline of a write that begins now.
func (h *HTTP) writeLimit() time.Time {
	d := h.o.WriteTimeout
	if h.ctx.Err() != nil {
		d = min(d, lastWrite)
	}
	return time.Now().Add(d)
}
