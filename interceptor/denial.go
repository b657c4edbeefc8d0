package interceptor

import (
	"encoding/json"
	"fmt"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Denial is the decision of an interceptor not to let a message pass, with
// the reason that the caller gets to see. A tool call that is denied becomes
// a tool result with isError, which a model can read and act on; everything
// else a JSON-RPC error with [transport.CodeDenied].
type Denial struct {
	Reason string          // must hold nothing secret
	Data   json.RawMessage // more of it for programs: error.data; nil for none
}

// Denyf makes a [*Denial]. The text is shown to the caller.
func Denyf(format string, args ...any) error {
	return &Denial{Reason: fmt.Sprintf(format, args...)}
}

// Error implements error.
func (d *Denial) Error() string { return d.Reason }

// As makes a denial an error that peers may see.
func (d *Denial) As(target any) bool {
	if t, ok := target.(**transport.RPCError); ok {
		*t = &transport.RPCError{Code: transport.CodeDenied, Message: d.Reason, Data: d.Data}
		return true
	}
	return false
}

// ToolResult returns the denial as the result of a tool.
func (d *Denial) ToolResult() json.RawMessage {
	b := append([]byte(nil), `{"content":[{"type":"text","text":`...)
	b = rawjson.AppendString(b, d.Reason)
	return append(b, `}],"isError":true}`...)
}
