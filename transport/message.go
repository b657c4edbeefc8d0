package transport

import (
	"encoding/json"
	"net/http"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// Message is one JSON-RPC 2.0 message. Its parts are raw JSON, exactly the
// bytes that came in: ids keep their type and spelling, integers above 2^53
// keep every digit, and unknown fields are still there when the message goes
// out again.
//
// What a Message is follows from its parts, as JSON-RPC says:
//
//   - Method and ID: a request
//   - Method alone: a notification
//   - Result or Error: a response
//
// The raw parts are immutable once a Message has been made: whoever wants
// another value makes a shallow copy and replaces the slice, never a byte in
// it. Messages may therefore be shared between goroutines.
type Message struct {
	// ID is the raw id: a JSON string or number. It is nil in a
	// notification, and `null` only in an error response to a message whose
	// id could not be read.
	ID json.RawMessage

	// Method is the decoded method name; it is empty in a response.
	Method string

	// Params, Result and Error are the members of the same names; nil when
	// the member is absent.
	Params json.RawMessage
	Result json.RawMessage
	Error  json.RawMessage

	// Extra holds the members of the envelope that JSON-RPC does not know,
	// joined by commas as they came (`"vendor":1,"x":[]`).
	Extra json.RawMessage

	// Header is what travels beside the body: on a message that came in by
	// HTTP the Mcp-* headers of its request; on one that goes out, headers
	// to add. Nil on other transports. Keys are in canonical form.
	Header http.Header

	// Status is the HTTP status that a response came with, or is to be sent
	// with; 0 when there is none or it does not matter.
	Status int

	memory *lent // what the parts lie in, when that can be given back
	last   bool  // the writer may do so, see Inherit
}

// IsRequest reports whether m asks for a reply.
func (m *Message) IsRequest() bool { return m.Method != "" && m.ID != nil }

// IsNotification reports whether m is a notification.
func (m *Message) IsNotification() bool { return m.Method != "" && m.ID == nil }

// IsResponse reports whether m answers a request.
func (m *Message) IsResponse() bool { return m.Method == "" }

// Append appends the encoded message to b. It never fails: the raw parts are
// JSON already.
func (m *Message) Append(b []byte) []byte {
	b = append(b, `{"jsonrpc":"2.0"`...)
	if m.ID != nil {
		b = append(b, `,"id":`...)
		b = append(b, m.ID...)
	}
	if m.Method != "" {
		b = append(b, `,"method":`...)
		b = rawjson.AppendString(b, m.Method)
	}
	if m.Params != nil {
		b = append(b, `,"params":`...)
		b = append(b, m.Params...)
	}
	if m.Result != nil {
		b = append(b, `,"result":`...)
		b = append(b, m.Result...)
	}
	if m.Error != nil {
		b = append(b, `,"error":`...)
		b = append(b, m.Error...)
	}
	if len(m.Extra) > 0 {
		b = append(b, ',')
		b = append(b, m.Extra...)
	}
	return append(b, '}')
}

// Size returns roughly how many bytes the encoded message takes.
func (m *Message) Size() int {
	return 64 + len(m.ID) + len(m.Method) + len(m.Params) + len(m.Result) + len(m.Error) + len(m.Extra)
}

// MarshalJSON implements [json.Marshaler].
func (m *Message) MarshalJSON() ([]byte, error) { return m.Append(make([]byte, 0, m.Size())), nil }

// UnmarshalJSON implements [json.Unmarshaler] with the rules of [Parse] and
// no limits beyond its defaults.
func (m *Message) UnmarshalJSON(b []byte) error {
	p, err := Parse(append([]byte(nil), b...), Limits{})
	if err != nil {
		return err
	}
	*m = *p
	return nil
}

// Reply makes the response to m with the given result.
func (m *Message) Reply(result json.RawMessage) *Message {
	return &Message{ID: m.ID, Result: result}
}

// ReplyError makes the error response to m. The parts that a peer sees are
// those of the [*RPCError] in err's chain; any other error is reported as an
// internal error with a fixed text, so that nothing leaks.
func (m *Message) ReplyError(err error) *Message {
	return &Message{ID: m.ID, Error: AsRPCError(err).Raw()}
}
