package gateway

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// refusals are the connections that the instance was refused since a moment,
// a sentence each; empty when there were none, or its driver has no list.
func (i *instance) refusals(since time.Time) string {
	r, ok := inner(i.run).(runtime.Refuser)
	if !ok {
		return ""
	}
	var all []string
	for _, f := range r.Refusals() {
		if !f.Last.Before(since) {
			all = append(all, f.String())
		}
	}
	return strings.Join(all, "; ")
}

// refusedAtStart is what a server was refused before it gave up.
func (i *instance) refusedAtStart() string {
	if why := i.refusals(time.Time{}); why != "" {
		return " (" + why + ")"
	}
	return ""
}

// inner is the driver's own instance.
func inner(run runtime.Instance) runtime.Instance {
	if w, ok := run.(*warm); ok {
		return w.Instance
	}
	return run
}

// explain adds to a failure what the instance was refused meanwhile, with the
// lines that would allow it: a model and its user would look in vain
// otherwise.
func (i *instance) explain(m *transport.Message, reply *transport.Message, since time.Time) *transport.Message {
	if reply == nil {
		return reply
	}
	failed := reply.Error != nil
	if !failed && m.Method == "tools/call" {
		v, ok := rawjson.Get(reply.Result, "isError")
		failed = ok && string(v) == "true"
	}
	if !failed {
		return reply
	}
	why := i.refusals(since)
	if why == "" {
		return reply
	}
	n := &transport.Message{ID: reply.ID, Result: reply.Result, Error: reply.Error, Extra: reply.Extra, Status: reply.Status}
	if n.Error != nil {
		e := transport.ParseRPCError(n.Error)
		n.Error = rawjson.Set(n.Error, rawjson.Quote(e.Message+" ("+why+")"), "message")
		return n
	}
	item := `{"type":"text","text":` + string(rawjson.Quote("gatehouse: "+why)) + `}`
	content, _ := rawjson.Get(n.Result, "content")
	list := []byte{'['}
	rawjson.Each(content, func(_, v []byte) bool {
		list = append(append(list, v...), ',')
		return true
	})
	list = append(append(list, item...), ']')
	n.Result = rawjson.Set(n.Result, json.RawMessage(list), "content")
	return n
}
