package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-mcp/gatehouse/transport"
)

// probeTime is how long a server has to answer a probe.
const probeTime = 10 * time.Second

// due reports whether the slot's instance is to be asked now whether it still
// answers. s.mu is held.
func (s *slot) due(now time.Time) bool {
	every := s.key.srv.Probe
	if every <= 0 || s.inst == nil || s.refs > 0 || s.probing || s.inst.ended() {
		return false
	}
	last := s.lastUsed
	if s.probed.After(last) {
		last = s.probed
	}
	return now.Sub(last) >= every
}

// probe asks an unused instance whether it still answers. One that does not
// is stopped, so that the next call starts another instead of waiting for it.
func (s *slot) probe(inst *instance) {
	ctx, cancel := context.WithTimeout(s.p.g.ctx, probeTime)
	defer cancel()
	method := "ping"
	if inst.peer.Era == transport.Modern {
		method = "server/discover" // which has taken its place
	}
	_, err := inst.conn.Call(ctx, &transport.Message{ID: json.RawMessage("0"), Method: method, Params: inst.ownParams(json.RawMessage("{}"))}, nil)
	s.mu.Lock()
	s.probing, s.probed = false, time.Now()
	sick := err != nil && s.p.g.ctx.Err() == nil && s.inst == inst && s.refs == 0 && !inst.ended()
	if sick {
		s.inst = nil
	}
	s.mu.Unlock()
	if !sick {
		return
	}
	why := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		why = fmt.Sprintf("it did not answer within %s", probeTime)
	}
	text := "a probe failed: " + why
	s.key.srv.setError(text)
	s.p.g.log.Warn("a server does not answer and is stopped", "server", s.key.srv.Name, "instance", inst.id, "reason", text)
	s.p.g.instanceEvent(InstanceEvent{Server: s.key.srv.Name, ID: inst.id, State: Failed, Err: text})
	inst.stop()
}
