package gateway

import (
	"crypto/sha256"
	"encoding/json"
	"time"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// requestState is what the gateway puts into the requestState of an
// input_required result. Sealed and bound to the principal, it says which
// request it belongs to, so that it fits no other.
type requestState struct {
	Method  string `json:"m"`
	Digest  []byte `json:"d"` // of the target's name and arguments
	Expires int64  `json:"e"` // unix seconds

	// A parked call of a legacy server: the call's id in this process.
	Parked string `json:"p,omitempty"`

	// A modern server's own state, and what it asked for.
	Server   string                     `json:"s,omitempty"`
	Upstream json.RawMessage            `json:"u,omitempty"`
	Asked    map[string]askedInput      `json:"q,omitempty"`
	Answered map[string]json.RawMessage `json:"a,omitempty"`
}

type askedInput struct {
	Method string          `json:"m"`
	Params json.RawMessage `json:"p,omitempty"`
}

// stateLife is how long a modern server's state may be used.
const stateLife = time.Hour

// errState refuses a request state that is forged, foreign, expired or of
// another request.
var errState = transport.Errorf(transport.CodeInvalidParams, "requestState is unknown or expired, or belongs to another request: make the call anew")

// newState makes the state of this call.
func (r *request) newState(c *interceptor.Call) *requestState {
	return &requestState{Method: c.Method, Digest: r.digest(c), Expires: time.Now().Add(stateLife).Unix()}
}

// digest covers what must be the same in a retry. It is made of values, not
// of bytes: a client may encode its arguments anew.
func (r *request) digest(c *interceptor.Call) []byte {
	h := sha256.New()
	h.Write([]byte(c.Method))
	h.Write([]byte{0})
	h.Write([]byte(c.Name))
	h.Write([]byte{0})
	if r.f.arguments != nil {
		if canonical, err := rawjson.Canonical(r.f.arguments); err == nil {
			h.Write(canonical)
		}
	}
	return h.Sum(nil)
}

// sealState makes the raw JSON string of a state.
func (r *request) sealState(st *requestState) (json.RawMessage, error) {
	b, err := json.Marshal(st)
	if err != nil {
		return nil, err
	}
	return rawjson.Quote(r.g.seal.seal(kindState, r.sess.owner, b)), nil
}

// readState opens the state that came with this request.
func (r *request) readState(c *interceptor.Call) (*requestState, error) {
	b, err := r.g.seal.open(kindState, r.sess.owner, text(r.f.requestState))
	if err != nil {
		return nil, errState
	}
	st := &requestState{}
	if json.Unmarshal(b, st) != nil || st.Method != c.Method || time.Now().Unix() > st.Expires || string(st.Digest) != string(r.digest(c)) {
		return nil, errState
	}
	return st, nil
}
