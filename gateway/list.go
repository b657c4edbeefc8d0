package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/paramheader"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// listKind is one of the four things that servers list.
type listKind uint8

const (
	tools listKind = iota
	prompts
	resources
	templates
	kinds
)

var (
	listMethods = [kinds]string{"tools/list", "prompts/list", "resources/list", "resources/templates/list"}
	listMembers = [kinds]string{"tools", "prompts", "resources", "resourceTemplates"}
	listKeys    = [kinds]string{"name", "name", "uri", "uriTemplate"}
	listCaps    = [kinds]string{"tools", "prompts", "resources", "resources"}
	listChanges = [kinds]string{
		"notifications/tools/list_changed", "notifications/prompts/list_changed",
		"notifications/resources/list_changed", "notifications/resources/list_changed",
	}
)

// Bounds of one server's list.
const (
	maxPages = 1_000
	maxItems = 100_000
)

// list is what one server lists of one kind: immutable, and one value for
// all sessions that see the same.
type list struct {
	id        uint64
	srv       *server
	kind      listKind
	items     []listItem
	byExposed map[string]*listItem
	ttl       time.Duration // as the server said; 0 when it said none
	public    bool          // the server's cacheScope
}

// listItem is one tool, prompt, resource or template.
type listItem struct {
	key     string // the server's own name or URI
	exposed string // the client's; for resources it is settled in the view
	raw     json.RawMessage
	headers *paramheader.Spec // of a tool, when its schema asks for them
}

type listHash struct {
	kind listKind
	sum  [sha256.Size]byte
}

// intern returns the list of these items, which may be one that exists.
func (s *server) intern(snap *snapshot, l *list) *list {
	h := sha256.New()
	for i := range l.items {
		h.Write(l.items[i].raw)
		h.Write([]byte{0})
	}
	fmt.Fprint(h, l.ttl, l.public)
	key := listHash{kind: l.kind}
	h.Sum(key.sum[:0])
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.lists[key]; have != nil {
		return have
	}
	if len(s.lists) >= 1024 { // sessions that all see something else
		clear(s.lists)
	}
	l.id = snap.listIDs.Add(1)
	l.byExposed = make(map[string]*listItem, len(l.items))
	for i := range l.items {
		it := &l.items[i]
		if l.kind == tools || l.kind == prompts {
			it.exposed = snap.exposed(s, it.key)
		} else {
			it.exposed = it.key
		}
		if _, twice := l.byExposed[it.exposed]; !twice {
			l.byExposed[it.exposed] = it
		}
	}
	s.lists[key] = l
	return l
}

// fetch asks an instance for all pages of a list.
func (i *instance) fetch(ctx context.Context, kind listKind) (*list, error) {
	l := &list{srv: i.srv, kind: kind}
	if !i.offers(kind) {
		return i.srv.intern(i.snap(), l), nil
	}
	seen := make(map[string]bool)
	var cursor json.RawMessage
	for page := 0; ; page++ {
		if page == maxPages {
			return nil, fmt.Errorf("%s of server %q has more than %d pages", listMethods[kind], i.srv.Name, maxPages)
		}
		var params json.RawMessage
		if cursor != nil {
			params = rawjson.Set(nil, cursor, "cursor")
		}
		m := &transport.Message{ID: json.RawMessage("0"), Method: listMethods[kind], Params: i.ownParams(params)}
		reply, err := i.call(ctx, m, nil)
		if err != nil {
			return nil, err
		}
		if reply.Error != nil {
			e := transport.ParseRPCError(reply.Error)
			if e.Code == transport.CodeMethodNotFound {
				return i.srv.intern(i.snap(), l), nil
			}
			return nil, e
		}
		if err := l.add(i, reply.Result); err != nil {
			return nil, err
		}
		next, ok := rawjson.Get(reply.Result, "nextCursor")
		if !ok || rawjson.KindOf(next) != rawjson.Str {
			return i.srv.intern(i.snap(), l), nil
		}
		if seen[string(next)] {
			return nil, fmt.Errorf("%s of server %q repeats a cursor", listMethods[kind], i.srv.Name)
		}
		seen[string(next)] = true
		cursor = next
	}
}

// add takes the items of one page.
func (l *list) add(i *instance, result json.RawMessage) error {
	if v, ok := rawjson.Get(result, "ttlMs"); ok {
		var ms int64
		if json.Unmarshal(v, &ms) == nil && ms >= 0 {
			ttl := time.Duration(min(ms, 86_400_000)) * time.Millisecond
			if len(l.items) == 0 || ttl < l.ttl {
				l.ttl = ttl
			}
		}
	}
	if v, ok := rawjson.Get(result, "cacheScope"); ok {
		l.public = string(v) == `"public"`
	}
	items, ok := rawjson.Get(result, listMembers[l.kind])
	if !ok || rawjson.KindOf(items) != rawjson.Array {
		return fmt.Errorf("%s of server %q has no array %q", listMethods[l.kind], l.srv.Name, listMembers[l.kind])
	}
	full := false
	rawjson.Each(items, func(_, raw []byte) bool {
		name, ok := rawjson.Get(raw, listKeys[l.kind])
		if !ok {
			return true
		}
		key, ok := rawjson.String(name)
		if !ok || key == "" || rawjson.Valid(raw, transport.DefaultDepth) != nil {
			i.g.log.Warn("a listed item was left out: its name is no text or it is not well-formed", "server", l.srv.Name, "list", listMethods[l.kind])
			return true
		}
		if full = len(l.items) >= maxItems; full {
			return false
		}
		it := listItem{key: key, raw: raw}
		if l.kind == tools {
			schema, _ := rawjson.Get(raw, "inputSchema")
			spec, err := paramheader.Compile(schema)
			if err != nil {
				i.g.log.Warn("a tool was left out: its x-mcp-header annotations are invalid", "server", l.srv.Name, "tool", key, "reason", err)
				return true
			}
			it.headers = spec
		}
		l.items = append(l.items, it)
		return true
	})
	if full {
		return fmt.Errorf("%s of server %q has more than %d items", listMethods[l.kind], l.srv.Name, maxItems)
	}
	return nil
}

// ownList is an instance's own list of one kind. It is guarded by the
// instance's mutex.
type ownList struct {
	cur     *list
	until   time.Time     // fresh until then; zero: until it changes
	changed uint64        // counts list_changed
	busy    chan struct{} // closed when the fetch in progress ends
}

// list returns the instance's own list, asking for it when it is not fresh.
func (i *instance) list(ctx context.Context, kind listKind) (*list, error) {
	own := &i.lists[kind]
	for {
		i.mu.Lock()
		if own.cur != nil && (own.until.IsZero() || time.Now().Before(own.until)) {
			l := own.cur
			i.mu.Unlock()
			return l, nil
		}
		if busy := own.busy; busy != nil {
			i.mu.Unlock()
			select {
			case <-busy:
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		busy := make(chan struct{})
		own.busy = busy
		before := own.changed
		i.mu.Unlock()

		l, err := i.fetch(ctx, kind)

		i.mu.Lock()
		own.busy = nil
		if err == nil && own.changed == before {
			own.cur = l
			own.until = time.Time{}
			switch {
			case i.peer.Era == transport.Modern && !i.watching.Load():
				own.until = time.Now().Add(l.ttl)
			case !i.announces(kind):
				own.until = time.Now().Add(i.snap().opts.Timeouts.Fresh)
			}
		}
		i.mu.Unlock()
		close(busy)
		if err == nil {
			i.srv.remember(i.known, l)
		}
		return l, err
	}
}

// peek returns the newest list of its own that the instance has, without
// asking; nil when it has none.
func (i *instance) peek(kind listKind) *list {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.lists[kind].cur
}

// invalidate forgets the lists of a kind.
func (i *instance) invalidate(kind listKind) {
	i.mu.Lock()
	for k := range kinds {
		if listChanges[k] == listChanges[kind] {
			i.lists[k].changed++
			i.lists[k].cur = nil
		}
	}
	i.mu.Unlock()
	i.srv.outdate(i.known)
}

// knownKey says for whom lists were learned: clients of one principal with
// the same capabilities see the same.
type knownKey struct {
	principal string
	caps      string
	era       transport.Era
}

// knownLists are the last known lists of a server.
type knownLists struct {
	lists    [kinds]*list
	learned  [kinds]time.Time
	outdated bool
}

// remember keeps l as last known.
func (s *server) remember(k knownKey, l *list) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kn := s.known[k]
	if kn == nil {
		if len(s.known) >= 4096 {
			for old := range s.known {
				delete(s.known, old)
				break
			}
		}
		kn = &knownLists{}
		s.known[k] = kn
	}
	if kn.outdated {
		kn.outdated = false
		for i := range kn.learned {
			kn.learned[i] = time.Time{}
		}
	}
	kn.lists[l.kind] = l
	kn.learned[l.kind] = time.Now()
}

// outdate marks the last known lists as changed: they serve only while the
// server cannot be asked.
func (s *server) outdate(k knownKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kn := s.known[k]; kn != nil {
		kn.outdated = true
	}
}

// lastKnown returns the last known list if it is younger than age.
func (s *server) lastKnown(k knownKey, kind listKind, age time.Duration, stale bool) *list {
	s.mu.Lock()
	defer s.mu.Unlock()
	kn := s.known[k]
	if kn == nil || kn.lists[kind] == nil || kn.outdated && !stale || time.Since(kn.learned[kind]) > age {
		return nil
	}
	return kn.lists[kind]
}
