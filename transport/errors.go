package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// Codes of JSON-RPC 2.0 and of the Model Context Protocol.
const (
	CodeParse          = -32700 // not JSON
	CodeInvalidRequest = -32600 // JSON, but ambiguous, or no JSON-RPC message that is allowed here
	CodeMethodNotFound = -32601
	CodeInvalidParams  = -32602
	CodeInternal       = -32603

	CodeResourceNotFound   = -32002 // legacy only; the modern era uses CodeInvalidParams
	CodeURLElicitation     = -32042 // legacy only (2025-11-25)
	CodeHeaderMismatch     = -32020 // 2026-07-28, HTTP 400
	CodeMissingCapability  = -32021 // 2026-07-28, HTTP 400
	CodeUnsupportedVersion = -32022 // 2026-07-28, HTTP 400
)

// Codes of the gateway itself. They lie outside the range that JSON-RPC
// reserves (-32768 to -32000).
const (
	CodeDenied      = -31001 // an interceptor denied the message
	CodeUnavailable = -31002 // the server behind the gateway cannot be reached or started
	CodeLimit       = -31003 // a bound was reached; data names it
	CodeTimeout     = -31004 // a deadline of the gateway passed
	CodeCancelled   = -31005 // the caller went away or cancelled
)

// RPCError is the error member of a JSON-RPC response, and the one error type
// whose text a peer gets to see.
type RPCError struct {
	Code    int
	Message string
	Data    json.RawMessage // nil when absent

	raw json.RawMessage // as it came; kept so that unknown members survive
}

// Error implements error.
func (e *RPCError) Error() string { return e.Message + " (" + strconv.Itoa(e.Code) + ")" }

// Raw returns the error as the JSON object of a response. An error that came
// from a peer is returned byte for byte.
func (e *RPCError) Raw() json.RawMessage {
	if e.raw != nil {
		return e.raw
	}
	b := append([]byte(nil), `{"code":`...)
	b = strconv.AppendInt(b, int64(e.Code), 10)
	b = append(b, `,"message":`...)
	b = rawjson.AppendString(b, e.Message)
	if e.Data != nil {
		b = append(b, `,"data":`...)
		b = append(b, e.Data...)
	}
	return append(b, '}')
}

// Errorf makes an [*RPCError].
func Errorf(code int, format string, args ...any) *RPCError {
	return &RPCError{Code: code, Message: fmt.Sprintf(format, args...)}
}

// limited makes the error for a bound that was reached. The name of the bound
// ends the text and is the data.
func limited(name, format string, args ...any) *RPCError {
	e := Errorf(CodeLimit, "%s (%s)", fmt.Sprintf(format, args...), name)
	e.Data = append(rawjson.AppendString([]byte(`{"limit":`), name), '}')
	return e
}

// ParseRPCError reads the error member of a response. What is not an error
// object becomes one with [CodeInternal] that keeps raw.
func ParseRPCError(raw json.RawMessage) *RPCError {
	e := &RPCError{Code: CodeInternal, Message: "the peer sent an error that is not an error object", raw: raw}
	if v, ok := rawjson.Get(raw, "code"); ok {
		if n, err := strconv.Atoi(string(v)); err == nil {
			e.Code = n
		} else if f, err := strconv.ParseFloat(string(v), 64); err == nil {
			e.Code = int(f)
		}
	}
	if v, ok := rawjson.Get(raw, "message"); ok {
		if s, ok := rawjson.String(v); ok {
			e.Message = s
		}
	}
	if v, ok := rawjson.Get(raw, "data"); ok {
		e.Data = v
	}
	return e
}

// AsRPCError returns what a peer may see of err.
func AsRPCError(err error) *RPCError {
	var r *RPCError
	var t *Error
	switch {
	case errors.As(err, &r):
		return r
	case errors.As(err, &t):
		return Errorf(CodeUnavailable, "%s", t.Public())
	case errors.Is(err, context.DeadlineExceeded):
		return Errorf(CodeTimeout, "the deadline passed")
	case errors.Is(err, context.Canceled):
		return Errorf(CodeCancelled, "cancelled")
	}
	return Errorf(CodeInternal, "internal error")
}

// ErrClosed is reported by a [Conn] that was closed, by either side.
var ErrClosed = errors.New("connection closed")

// Error is a fault of the transport: no answer of the peer's JSON-RPC layer,
// but of what lies below it. It is also the way to give an HTTP status and a
// challenge to a front.
type Error struct {
	// Status is the HTTP status: of the peer's answer when a connector
	// reports it, to be sent when a front is given it. 0 when there is none.
	Status int

	// Header holds the headers that belong to Status: WWW-Authenticate,
	// Retry-After.
	Header http.Header

	// Sent says whether the request may have reached the peer. A call is
	// repeated only when it did not.
	Sent bool

	// Err is the cause.
	Err error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("HTTP %d: %v", e.Status, e.Err)
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Public is the text for a peer: what happened, without addresses and
// without the texts of lower layers.
func (e *Error) Public() string {
	var r *RPCError
	switch {
	case errors.As(e.Err, &r):
		return r.Message
	case e.Status != 0:
		return fmt.Sprintf("the server answered HTTP %d %s", e.Status, http.StatusText(e.Status))
	case errors.Is(e.Err, ErrClosed):
		return "the connection to the server was closed"
	}
	return "the server could not be reached"
}
