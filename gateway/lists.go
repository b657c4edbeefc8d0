package gateway

import (
	"context"
	"encoding/json"
	"time"

	"github.com/gatehouse-mcp/gatehouse/transport"
)

// peek returns what is known of a server's list for this caller, without
// asking any server; nil when nothing is.
func (r *request) peek(srv *server, kind listKind) *list {
	if srv.Instance != PerCall {
		if inst := r.g.pool.running(srv, r.sess, r.client); inst != nil {
			if l := inst.peek(kind); l != nil {
				return l
			}
		}
	}
	return srv.lastKnown(r.sess.knownKey(srv, r.client), kind, r.snap.opts.Timeouts.Grace, true)
}

// listOf returns a server's list for this caller: from its running instance,
// from memory, or by starting it. When the server cannot be had, the last
// known list serves for a while.
func (r *request) listOf(ctx context.Context, srv *server, kind listKind) (*list, error) {
	key := r.sess.knownKey(srv, r.client)
	t := &r.snap.opts.Timeouts
	if srv.Instance == PerCall || r.g.pool.running(srv, r.sess, r.client) == nil {
		if l := srv.lastKnown(key, kind, t.Fresh, false); l != nil && (l.ttl == 0 || l.ttl >= t.Fresh) {
			return l, nil
		}
	}
	scope := ""
	if srv.Instance == PerCall {
		scope = "list" + randomID()
	}
	inst, release, err := r.g.pool.acquire(ctx, srv, r.sess, r.client, scope)
	if err == nil {
		var l *list
		l, err = inst.list(ctx, kind)
		release()
		if err == nil {
			return l, nil
		}
	}
	if l := srv.lastKnown(key, kind, t.Grace, true); l != nil {
		return l, err
	}
	return nil, err
}

// view puts together what the caller sees of a kind. Servers are asked at the
// same time; the view never waits longer than Timeouts.List for the slowest,
// whose last known list then serves. Its newer one is announced when it comes.
func (r *request) view(ctx context.Context, kind listKind) *view {
	servers := r.snap.servers
	lists := make([]*list, len(servers))
	type answer struct {
		i int
		l *list
	}
	answers := make(chan answer, len(servers))
	pending := 0
	for i, srv := range servers {
		if inst := r.g.pool.running(srv, r.sess, r.client); inst != nil && srv.Instance != PerCall {
			if l := inst.fresh(kind); l != nil {
				lists[i] = l
				continue
			}
		}
		pending++
		ok := r.sess.spawn(func() {
			// Slow servers are waited for beyond the client's request.
			lctx, cancel := context.WithTimeout(r.sess.ctx, r.slowest(srv))
			defer cancel()
			l, err := r.listOf(lctx, srv, kind)
			if err != nil {
				r.g.log.Warn("a server's list is missing or old", "server", srv.Name, "list", listMethods[kind], "error", err)
			}
			answers <- answer{i, l}
		})
		if !ok {
			answers <- answer{i, nil}
		}
	}
	wait := time.NewTimer(r.snap.opts.Timeouts.List)
	defer wait.Stop()
	for pending > 0 {
		select {
		case a := <-answers:
			lists[a.i] = a.l
			pending--
			continue
		case <-wait.C:
		case <-ctx.Done():
		}
		break
	}
	if pending > 0 {
		late := pending
		for i, srv := range servers {
			if lists[i] == nil {
				lists[i] = srv.lastKnown(r.sess.knownKey(srv, r.client), kind, r.snap.opts.Timeouts.Grace, true)
			}
		}
		served := append([]*list(nil), lists...)
		r.sess.spawn(func() {
			for range late {
				select {
				case a := <-answers:
					if a.l != nil && a.l != served[a.i] {
						r.g.listChanged(r.snap, r.sess, a.l.srv, listChanges[kind])
					}
				case <-r.sess.ctx.Done():
					return
				}
			}
		})
	}
	known := lists[:0:0]
	for _, l := range lists {
		if l != nil {
			known = append(known, l)
		}
	}
	return r.g.viewOf(r.snap, kind, known)
}

// slowest bounds how long a list of a server may take.
func (r *request) slowest(srv *server) time.Duration {
	d := srv.StartTimeout
	if d <= 0 {
		d = r.snap.opts.Timeouts.Start
	}
	return 2 * d
}

// fresh returns the instance's list if it need not ask.
func (i *instance) fresh(kind listKind) *list {
	i.mu.Lock()
	defer i.mu.Unlock()
	own := &i.lists[kind]
	if own.cur != nil && (own.until.IsZero() || time.Now().Before(own.until)) {
		return own.cur
	}
	return nil
}

// listChanged tells one session that a list has changed.
func (g *Gateway) listChanged(snap *snapshot, sess *session, srv *server, method string) {
	m := &transport.Message{Method: method}
	_ = g.passNotification(sess.ctx, snap, sess, sess.clientNow(), srv, m, func(ctx context.Context, params json.RawMessage) error {
		sess.notify(ctx, &transport.Message{Method: method, Params: params})
		return nil
	})
}
