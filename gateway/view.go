package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// view is what a client sees of one kind: the lists of all servers put
// together, with the names that clients use. Views are immutable, shared by
// all sessions whose servers list the same, and hold their pages ready.
type view struct {
	key     string // of the lists it was made from
	id      string // short, for cursors
	kind    listKind
	entries []entry
	ttl     time.Duration
	public  bool

	mu       sync.Mutex
	filtered map[string]*view // by what the filters told apart
	pages    map[int]json.RawMessage
}

// entry is one item of a view.
type entry struct {
	srv     *server
	item    *listItem
	exposed string
	raw     json.RawMessage // as clients get it
}

// viewCache keeps the views of one snapshot.
type viewCache struct {
	mu   sync.Mutex
	byKy map[string]*view
	byID map[string]*view
}

// maxViews bounds the cache; over it, it starts anew.
const maxViews = 512

func newViewCache() *viewCache {
	return &viewCache{byKy: make(map[string]*view), byID: make(map[string]*view)}
}

// viewOf returns the view made of these lists.
func (g *Gateway) viewOf(snap *snapshot, kind listKind, lists []*list) *view {
	var b strings.Builder
	b.WriteByte('0' + byte(kind))
	for _, l := range lists {
		b.WriteByte('.')
		b.WriteString(strconv.FormatUint(l.id, 36))
	}
	key := b.String()
	vc := snap.views
	vc.mu.Lock()
	v := vc.byKy[key]
	vc.mu.Unlock()
	if v != nil {
		return v
	}
	v = &view{key: key, id: randomID()[:8], kind: kind, ttl: math.MaxInt64, public: true, filtered: make(map[string]*view), pages: make(map[int]json.RawMessage)}
	seen := make(map[string]bool)
	for _, l := range lists {
		v.ttl = min(v.ttl, l.ttl)
		v.public = v.public && l.public
		for i := range l.items {
			it := &l.items[i]
			e := entry{srv: l.srv, item: it, exposed: it.exposed, raw: it.raw}
			if kind == resources || kind == templates {
				e.exposed = g.uris.exposed(l.srv, it.key)
			}
			if seen[e.exposed] { // a server that lists a name twice
				continue
			}
			seen[e.exposed] = true
			if e.exposed != it.key {
				e.raw = rawjson.Set(it.raw, rawjson.Quote(e.exposed), listKeys[kind])
			}
			if kind == tools {
				e.raw = g.exposeUI(l.srv, e.raw)
			}
			v.entries = append(v.entries, e)
		}
	}
	if len(lists) == 0 {
		v.ttl, v.public = 0, false
	}
	vc.mu.Lock()
	defer vc.mu.Unlock()
	if have := vc.byKy[key]; have != nil {
		return have
	}
	if len(vc.byKy) >= maxViews {
		clear(vc.byKy)
		clear(vc.byID)
	}
	vc.byKy[key] = v
	vc.byID[v.id] = v
	return v
}

// exposeUI maps the resource that a tool names as its user interface.
func (g *Gateway) exposeUI(srv *server, raw json.RawMessage) json.RawMessage {
	v, ok := rawjson.Get(raw, "_meta", "ui", "resourceUri")
	if !ok {
		return raw
	}
	uri := text(v)
	if exposed := g.uris.exposed(srv, uri); uri != "" && exposed != uri {
		return rawjson.Set(raw, rawjson.Quote(exposed), "_meta", "ui", "resourceUri")
	}
	return raw
}

// runList serves a list: a page of the caller's view.
func runList(kind listKind) func(context.Context, *request, *interceptor.Call) (*interceptor.Result, error) {
	return func(ctx context.Context, r *request, c *interceptor.Call) (*interceptor.Result, error) {
		var v *view
		offset := 0
		if cur, ok := rawjson.Get(c.Params, "cursor"); ok {
			var err error
			if v, offset, err = r.openCursor(kind, text(cur)); err != nil {
				return nil, err
			}
		} else {
			v = r.view(ctx, kind)
			if fv, err := r.filter(ctx, c, v); err != nil {
				return nil, err
			} else if fv != nil {
				v = fv
			}
		}
		return &interceptor.Result{Raw: r.page(v, offset)}, nil
	}
}

// page encodes the page of a view that begins at offset. The bytes are made
// once, but for the cursor, which is the principal's.
func (r *request) page(v *view, offset int) json.RawMessage {
	size := r.snap.opts.Limits.Page
	end := min(offset+size, len(v.entries))
	more := end < len(v.entries)
	key := offset << 1
	if r.era == transport.Modern {
		key |= 1
	}
	v.mu.Lock()
	page := v.pages[key]
	if page == nil {
		page = v.encode(offset, end, r)
		v.pages[key] = page
	}
	v.mu.Unlock()
	if !more {
		return page
	}
	cursor := r.g.seal.seal(kindCursor, r.sess.owner, []byte(v.id+" "+strconv.Itoa(int(v.kind))+" "+strconv.Itoa(end)))
	out := make([]byte, 0, len(page)+len(cursor)+32)
	out = append(out, page[:len(page)-1]...)
	out = append(out, `,"nextCursor":`...)
	out = rawjson.AppendString(out, cursor)
	return append(out, '}')
}

// encode makes the bytes of a page in the era of r.
func (v *view) encode(from, to int, r *request) json.RawMessage {
	n := 256
	for _, e := range v.entries[from:to] {
		n += len(e.raw) + 1
	}
	b := make([]byte, 0, n)
	b = append(b, '{')
	if r.era == transport.Modern {
		b = append(b, `"resultType":"complete",`...)
	}
	b = append(b, '"')
	b = append(b, listMembers[v.kind]...)
	b = append(b, `":[`...)
	for i, e := range v.entries[from:to] {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, e.raw...)
	}
	b = append(b, ']')
	if r.era == transport.Modern {
		ttl := v.ttl
		if ttl == math.MaxInt64 {
			ttl = 0
		}
		scope := "private"
		if v.public {
			scope = "public"
		}
		b = fmt.Appendf(b, `,"ttlMs":%d,"cacheScope":%q,"_meta":{%q:%s}`, ttl.Milliseconds(), scope, metaServer, r.g.identity)
	}
	return append(b, '}')
}

var errCursor = transport.Errorf(transport.CodeInvalidParams, "cursor is unknown or expired: list anew without a cursor")

// openCursor returns the view and the offset that a cursor stands for.
func (r *request) openCursor(kind listKind, cursor string) (*view, int, error) {
	b, err := r.g.seal.open(kindCursor, r.sess.owner, cursor)
	if err != nil {
		return nil, 0, errCursor
	}
	part := strings.Fields(string(b))
	if len(part) != 3 || part[1] != strconv.Itoa(int(kind)) {
		return nil, 0, errCursor
	}
	offset, err := strconv.Atoi(part[2])
	vc := r.snap.views
	vc.mu.Lock()
	v := vc.byID[part[0]]
	vc.mu.Unlock()
	if err != nil || v == nil || offset < 0 || offset > len(v.entries) {
		return nil, 0, errCursor
	}
	return v, offset, nil
}

// filter lets the chain's item filters choose from v. The result is kept for
// all callers that the filters do not tell apart. It is nil without filters.
func (r *request) filter(ctx context.Context, c *interceptor.Call, v *view) (*view, error) {
	if len(r.snap.filters) == 0 {
		return nil, nil
	}
	var b strings.Builder
	personal := false
	for _, f := range r.snap.filters {
		name := f.View(c)
		if name == "" {
			personal = true
		}
		fmt.Fprintf(&b, "%d:%s", len(name), name)
		if g, ok := f.(interface{ Generation() uint64 }); ok {
			fmt.Fprintf(&b, "@%d", g.Generation())
		}
		b.WriteByte(';')
	}
	if personal {
		fmt.Fprintf(&b, "p%s", r.sess.owner)
	}
	key := b.String()
	v.mu.Lock()
	fv := v.filtered[key]
	v.mu.Unlock()
	if fv != nil {
		return fv, nil
	}
	fv = &view{key: v.key + "/" + key, id: randomID()[:8], kind: v.kind, ttl: v.ttl, filtered: make(map[string]*view), pages: make(map[int]json.RawMessage)}
	changed := false
	for _, e := range v.entries {
		was := e.raw
		keep, err := filterItem(ctx, r.snap.filters, c, v.kind, &e)
		if err != nil {
			return nil, err
		}
		changed = changed || !keep || !sameRaw(e.raw, was)
		if keep {
			fv.entries = append(fv.entries, e)
		}
	}
	// What nobody changed, and would not forbid, may be shared as before.
	fv.public = v.public && !changed && !personal && len(r.snap.hiders) == 0
	v.mu.Lock()
	if len(v.filtered) >= 4096 {
		clear(v.filtered)
	}
	v.filtered[key] = fv
	v.mu.Unlock()
	vc := r.snap.views
	vc.mu.Lock()
	if len(vc.byID) >= 8*maxViews {
		clear(vc.byID)
	}
	vc.byID[fv.id] = fv
	vc.mu.Unlock()
	return fv, nil
}

var itemKinds = [kinds]interceptor.ItemKind{interceptor.ItemTool, interceptor.ItemPrompt, interceptor.ItemResource, interceptor.ItemTemplate}

// filterItem asks every filter about one entry, which they may change.
func filterItem(ctx context.Context, filters []interceptor.ItemFilter, c *interceptor.Call, kind listKind, e *entry) (keep bool, err error) {
	it := &interceptor.Item{Kind: itemKinds[kind], Server: e.srv.Name, Name: e.exposed, Original: e.item.key, Raw: e.raw}
	for _, f := range filters {
		if err := f.Item(ctx, c, it); err != nil {
			return false, err
		}
		if it.Dropped() {
			return false, nil
		}
	}
	e.raw = it.Raw
	return true, nil
}

// visible reports whether the filters let the caller see an item: what is
// hidden cannot be called either.
func (r *request) visible(ctx context.Context, c *interceptor.Call, kind listKind, srv *server, item *listItem) bool {
	lc := *c
	lc.Method = listMethods[kind]
	lc.Server, lc.Name, lc.Original, lc.Params = "", "", "", nil
	e := entry{srv: srv, item: item, exposed: item.exposed, raw: item.raw}
	keep, err := filterItem(ctx, r.snap.hiders, &lc, kind, &e)
	return err == nil && keep
}
