package gateway

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// A task id for clients is the sealed pair of server and the server's own id,
// bound to the principal. The same task always has the same id.

func (g *Gateway) taskHandle(owner string, inst *instance, id string) string {
	return g.seal.seal(kindTask, owner, []byte(inst.srv.Name+"\x00"+id))
}

// openTask returns the server and its own id of a task.
func (g *Gateway) openTask(snap *snapshot, owner, handle string) (*server, string, bool) {
	b, err := g.seal.open(kindTask, owner, handle)
	if err != nil {
		return nil, "", false
	}
	name, id, ok := strings.Cut(string(b), "\x00")
	srv := snap.byName[name]
	return srv, id, ok && srv != nil
}

// sealTask puts the client's task id at path of obj, where there is one.
func (g *Gateway) sealTask(owner string, inst *instance, obj json.RawMessage, path ...string) json.RawMessage {
	v, ok := rawjson.Get(obj, path...)
	if !ok {
		return obj
	}
	id, ok := rawjson.String(v)
	if !ok {
		return obj
	}
	return rawjson.Set(obj, rawjson.Quote(g.taskHandle(owner, inst, id)), path...)
}

// localizeTasks puts the client's task ids into a result.
func (r *request) localizeTasks(inst *instance, result json.RawMessage) json.RawMessage {
	owner := r.sess.owner
	switch r.m.Method {
	case "tools/call", "prompts/get", "resources/read":
		if r.f.task != nil {
			result = r.g.sealTask(owner, inst, result, "task", "taskId")
		}
		if inst.peer.Era == transport.Modern {
			if kind, ok := rawjson.Get(result, "resultType"); ok && string(kind) == `"task"` {
				result = r.g.sealTask(owner, inst, result, "taskId")
				result = r.g.sealTask(owner, inst, result, "task", "taskId")
			}
		}
	case "tasks/get", "tasks/cancel", "tasks/update":
		result = r.g.sealTask(owner, inst, result, "taskId")
		result = r.g.sealTask(owner, inst, result, "task", "taskId")
	}
	if inst.tasks() {
		result = r.g.sealTask(owner, inst, result, "_meta", metaRelatedTask, "taskId")
	}
	return result
}

// tasks reports whether the server makes tasks.
func (i *instance) tasks() bool {
	return i.has("tasks") || i.has("extensions", tasksExtension)
}

var errTask = transport.Errorf(transport.CodeInvalidParams, "taskId is unknown or expired")

// targetTask routes a request by its task.
func targetTask(r *request) error {
	handle, ok := rawjson.String(r.f.taskID)
	if !ok {
		return transport.Errorf(transport.CodeInvalidParams, "params.taskId is not a string")
	}
	srv, id, ok := r.g.openTask(r.snap, r.sess.owner, handle)
	if !ok {
		return errTask
	}
	r.srv, r.call.Server, r.call.Name, r.call.Original = srv, srv.Name, handle, id
	return nil
}

// runTask forwards tasks/get, tasks/result, tasks/cancel and tasks/update.
func runTask(ctx context.Context, r *request, c *interceptor.Call) (*interceptor.Result, error) {
	// An interceptor may have changed other members, but never the task.
	if v, ok := rawjson.Get(c.Params, "taskId"); !ok || !sameRaw(v, r.f.taskID) {
		return nil, errTask
	}
	inst := r.g.pool.running(r.srv, r.sess, r.client)
	if inst == nil && r.srv.Instance != Shared {
		if p := r.srv.lastPeer(); p == nil || p.Era == transport.Legacy {
			return nil, transport.Errorf(transport.CodeInvalidParams, "the instance of server %q that had this task has ended", r.srv.Name)
		}
	}
	if inst != nil && inst.peer.Era != r.era {
		return nil, transport.Errorf(transport.CodeMethodNotFound, "server %q speaks the tasks of another protocol era", r.srv.Name)
	}
	c.Params = rawjson.Set(c.Params, rawjson.Quote(c.Original), "taskId")
	return r.routed(ctx, c)
}

// runTaskList puts together the tasks of the session's running instances:
// others have none of this caller's.
func runTaskList(ctx context.Context, r *request, c *interceptor.Call) (*interceptor.Result, error) {
	if _, ok := rawjson.Get(c.Params, "cursor"); ok {
		return nil, errCursor // all tasks are on the first page
	}
	out := json.RawMessage(`{"tasks":[`)
	n := 0
	for _, srv := range r.snap.servers {
		inst := r.g.pool.running(srv, r.sess, r.client)
		if inst == nil || inst.peer.Era != transport.Legacy || !inst.has("tasks", "list") || srv.Instance == Shared {
			continue // a shared instance does not tell whose its tasks are
		}
		var cursor json.RawMessage
		for page := 0; page < maxPages; page++ {
			var params json.RawMessage
			if cursor != nil {
				params = rawjson.Set(nil, cursor, "cursor")
			}
			reply, err := inst.call(ctx, &transport.Message{ID: r.m.ID, Method: "tasks/list", Params: params}, nil)
			if err != nil {
				return nil, err
			}
			if reply.Error != nil {
				break
			}
			list, _ := rawjson.Get(reply.Result, "tasks")
			rawjson.Each(list, func(_, v []byte) bool {
				if n++; n > 1 {
					out = append(out, ',')
				}
				out = append(out, r.g.sealTask(r.sess.owner, inst, v, "taskId")...)
				return n < maxItems
			})
			next, ok := rawjson.Get(reply.Result, "nextCursor")
			if !ok || sameRaw(next, cursor) || n >= maxItems {
				break
			}
			cursor = next
		}
	}
	return &interceptor.Result{Raw: append(out, "]}"...)}, nil
}
