package gateway

import (
	"encoding/json"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// Keys of the protocol in _meta.
const (
	metaPrefix       = "io.modelcontextprotocol/"
	metaVersion      = metaPrefix + "protocolVersion"
	metaClient       = metaPrefix + "clientInfo"
	metaCapabilities = metaPrefix + "clientCapabilities"
	metaLogLevel     = metaPrefix + "logLevel"
	metaSubscription = metaPrefix + "subscriptionId"
	metaRelatedTask  = metaPrefix + "related-task"
	metaServer       = metaPrefix + "serverInfo"

	tasksExtension = metaPrefix + "tasks"
)

// fields are the members of params that the gateway reads, raw, found in one
// pass.
type fields struct {
	name, uri, cursor, ref, arguments, level json.RawMessage
	taskID, task                             json.RawMessage
	requestState, inputResponses             json.RawMessage
	notifications, taskIDs                   json.RawMessage
	protocolVersion, capabilities, client    json.RawMessage // of initialize
	meta                                     json.RawMessage
	token                                    json.RawMessage // _meta.progressToken

	metaVersion, metaClient, metaCaps, metaLevel json.RawMessage
}

func readFields(params json.RawMessage) (f fields) {
	rawjson.Each(params, func(key, v []byte) bool {
		switch string(key) {
		case `"name"`:
			f.name = v
		case `"uri"`:
			f.uri = v
		case `"arguments"`:
			f.arguments = v
		case `"_meta"`:
			f.meta = v
		case `"cursor"`:
			f.cursor = v
		case `"ref"`:
			f.ref = v
		case `"level"`:
			f.level = v
		case `"taskId"`:
			f.taskID = v
		case `"taskIds"`:
			f.taskIDs = v
		case `"task"`:
			f.task = v
		case `"requestState"`:
			f.requestState = v
		case `"inputResponses"`:
			f.inputResponses = v
		case `"notifications"`:
			f.notifications = v
		case `"protocolVersion"`:
			f.protocolVersion = v
		case `"capabilities"`:
			f.capabilities = v
		case `"clientInfo"`:
			f.client = v
		default:
			f.escaped(key, v)
		}
		return true
	})
	if f.meta != nil {
		f.readMeta()
	}
	return f
}

// escaped handles keys that are spelled with escapes: what a server would
// read as "name" must not pass here as something else.
func (f *fields) escaped(key, v []byte) {
	for i := range key {
		if key[i] != '\\' {
			continue
		}
		name, ok := rawjson.String(key)
		if !ok {
			return
		}
		plain := readFields(append(append(append([]byte{'{'}, rawjson.Quote(name)...), ':'), append(append([]byte(nil), v...), '}')...))
		f.merge(plain)
		return
	}
}

func (f *fields) merge(o fields) {
	for _, p := range []struct{ to, from *json.RawMessage }{
		{&f.name, &o.name}, {&f.uri, &o.uri}, {&f.arguments, &o.arguments}, {&f.meta, &o.meta},
		{&f.cursor, &o.cursor}, {&f.ref, &o.ref}, {&f.level, &o.level}, {&f.taskID, &o.taskID},
		{&f.taskIDs, &o.taskIDs}, {&f.task, &o.task}, {&f.requestState, &o.requestState},
		{&f.inputResponses, &o.inputResponses}, {&f.notifications, &o.notifications},
		{&f.protocolVersion, &o.protocolVersion}, {&f.capabilities, &o.capabilities}, {&f.client, &o.client},
	} {
		if *p.from != nil {
			*p.to = *p.from
		}
	}
}

func (f *fields) readMeta() {
	rawjson.Each(f.meta, func(key, v []byte) bool {
		switch {
		case rawjson.KeyIs(key, "progressToken"):
			f.token = v
		case rawjson.KeyIs(key, metaVersion):
			f.metaVersion = v
		case rawjson.KeyIs(key, metaClient):
			f.metaClient = v
		case rawjson.KeyIs(key, metaCapabilities):
			f.metaCaps = v
		case rawjson.KeyIs(key, metaLogLevel):
			f.metaLevel = v
		}
		return true
	})
}

// text decodes a raw JSON string; empty when it is none.
func text(raw json.RawMessage) string {
	if raw == nil {
		return ""
	}
	s, _ := rawjson.String(raw)
	return s
}
