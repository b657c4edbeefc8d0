package gateway

import (
	"context"
	"encoding/json"
	"strings"
	"sync"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// uriOwners says which server a bare URI belongs to: the first that was seen
// to offer it, for as long as it is configured. The other servers' equal URIs
// appear wrapped.
type uriOwners struct {
	mu    sync.RWMutex
	owner map[string]*server
	wraps map[*server]bool // servers with a URI that had to be wrapped
}

// maxURIs bounds the table. A URI over it is always shown wrapped.
const maxURIs = 1 << 20

func newURIOwners() *uriOwners {
	return &uriOwners{owner: make(map[string]*server), wraps: make(map[*server]bool)}
}

// exposed returns the form of a server's URI for clients, claiming it.
func (u *uriOwners) exposed(srv *server, uri string) string {
	u.mu.RLock()
	owner := u.owner[uri]
	u.mu.RUnlock()
	if owner == srv {
		return uri
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	owner = u.owner[uri]
	switch {
	case owner == srv:
		return uri
	case owner == nil && len(u.owner) < maxURIs && !strings.HasPrefix(uri, uriScheme):
		u.owner[uri] = srv
		return uri
	}
	u.wraps[srv] = true
	return wrapURI(srv.prefix, uri)
}

// seen is exposed without claiming: for URIs in results and notifications.
func (u *uriOwners) seen(srv *server, uri string) string {
	u.mu.RLock()
	defer u.mu.RUnlock()
	if owner := u.owner[uri]; owner == srv || owner == nil && !strings.HasPrefix(uri, uriScheme) {
		return uri
	}
	return wrapURI(srv.prefix, uri)
}

func (u *uriOwners) ownerOf(uri string) *server {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.owner[uri]
}

func (u *uriOwners) hasWrapped(srv *server) bool {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.wraps[srv]
}

// drop forgets a server that left the configuration.
func (u *uriOwners) drop(srv *server) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.wraps, srv)
	for uri, owner := range u.owner {
		if owner == srv {
			delete(u.owner, uri)
		}
	}
}

// targetURI routes a request by the URI of a resource.
func targetURI(r *request) error {
	uri, ok := rawjson.String(r.f.uri)
	if !ok || uri == "" {
		return transport.Errorf(transport.CodeInvalidParams, "params.uri is not a string")
	}
	r.routeURI(uri)
	return nil
}

// routeURI finds the server of a URI from what is known: the form that names
// it, the owner of the URI, the template that it fits, and the one server
// that can be meant.
func (r *request) routeURI(uri string) {
	r.call.Name, r.call.Original = uri, uri
	r.srv, r.call.Server = nil, ""
	if prefix, own, ok := unwrapURI(uri); ok {
		if srv := r.snap.byPrefix[prefix]; srv != nil {
			r.srv, r.call.Original, r.call.Server = srv, own, srv.Name
			return
		}
	}
	srv := r.g.uris.ownerOf(uri)
	if srv == nil || r.snap.byName[srv.Name] != srv {
		srv = r.byTemplate(uri)
	}
	if srv == nil {
		srv = r.onlyWithResources()
	}
	if srv != nil {
		r.srv, r.call.Server = srv, srv.Name
	}
}

// byTemplate finds the server one of whose templates fits best: the one with
// the longest fixed beginning.
func (r *request) byTemplate(uri string) *server {
	var best *server
	longest := -1
	for _, srv := range r.snap.servers {
		l := r.peek(srv, templates)
		if l == nil {
			continue
		}
		for i := range l.items {
			head, tail := templateEnds(l.items[i].key)
			if len(head) > longest && strings.HasPrefix(uri, head) && strings.HasSuffix(uri[len(head):], tail) {
				best, longest = srv, len(head)
			}
		}
	}
	return best
}

// templateEnds returns the fixed text before the first and after the last
// expression of a URI template (RFC 6570).
func templateEnds(template string) (head, tail string) {
	i := strings.IndexByte(template, '{')
	j := strings.LastIndexByte(template, '}')
	if i < 0 || j < i {
		return template, ""
	}
	return template[:i], template[j+1:]
}

// onlyWithResources returns the one server that has resources as far as is
// known, or, of several, the unprefixed one.
func (r *request) onlyWithResources() *server {
	var only *server
	n := 0
	for _, srv := range r.snap.servers {
		p := srv.lastPeer()
		if p != nil {
			if _, ok := rawjson.Get(p.Capabilities, "resources"); !ok {
				continue
			}
		}
		only = srv
		n++
	}
	if n == 1 {
		return only
	}
	if u := r.snap.unprefixed; u != nil {
		return u
	}
	return nil
}

// settleURI makes sure that the URI belongs to a server, asking the servers
// for their lists when nothing is known of it, and that the caller may see it.
func (r *request) settleURI(ctx context.Context, c *interceptor.Call) error {
	if v, ok := rawjson.Get(c.Params, "uri"); ok && !sameRaw(v, r.f.uri) {
		uri, ok := rawjson.String(v)
		if !ok {
			return transport.Errorf(transport.CodeInvalidParams, "params.uri is not a string")
		}
		r.routeURI(uri)
		c.Name, c.Original, c.Server = r.call.Name, r.call.Original, r.call.Server
	}
	if r.srv == nil {
		r.view(ctx, resources)
		r.view(ctx, templates)
		r.routeURI(c.Name)
		c.Original, c.Server = r.call.Original, r.call.Server
	}
	if r.srv == nil {
		return r.noResource(c.Name)
	}
	if len(r.snap.hiders) > 0 && !r.seesResource(ctx, c) {
		return r.noResource(c.Name)
	}
	return nil
}

// noResource is the answer to a URI that no server is known to have.
func (r *request) noResource(uri string) error {
	code := transport.CodeResourceNotFound
	if r.era == transport.Modern {
		code = transport.CodeInvalidParams
	}
	e := transport.Errorf(code, "no server is known to have the resource %q; name one by %sPREFIX/URI", uri, uriScheme)
	e.Data = rawjson.Set(nil, rawjson.Quote(uri), "uri")
	return e
}

// seesResource asks the filters about the resource, or about the template
// that it comes from.
func (r *request) seesResource(ctx context.Context, c *interceptor.Call) bool {
	l, _ := r.listOf(ctx, r.srv, resources)
	if l != nil {
		if it := l.byExposed[c.Original]; it != nil {
			shown := *it
			shown.exposed = c.Name
			return r.visible(ctx, c, resources, r.srv, &shown)
		}
	}
	l, _ = r.listOf(ctx, r.srv, templates)
	if l == nil {
		return false
	}
	for i := range l.items {
		head, tail := templateEnds(l.items[i].key)
		if strings.HasPrefix(c.Original, head) && strings.HasSuffix(c.Original[len(head):], tail) && r.visible(ctx, c, templates, r.srv, &l.items[i]) {
			return true
		}
	}
	return false
}

// localize puts the gateway's URIs and task ids in the place of the server's.
// A result that holds neither comes back as it is.
func (r *request) localize(inst *instance, result json.RawMessage) json.RawMessage {
	result = r.localizeTasks(inst, result)
	named := r.m.Method == "resources/read" && r.call.Name != r.call.Original // the client said whose URI it means
	if !named && !r.g.uris.hasWrapped(inst.srv) {
		return result
	}
	switch r.m.Method {
	case "resources/read":
		return r.eachURI(inst, result, "contents", "uri")
	case "tools/call":
		return r.eachURI(inst, r.eachURI(inst, result, "content", "uri"), "content", "resource", "uri")
	case "prompts/get":
		return r.eachURI(inst, r.eachURI(inst, result, "messages", "content", "uri"), "messages", "content", "resource", "uri")
	}
	return result
}

// eachURI maps the URI at path in every element of an array.
func (r *request) eachURI(inst *instance, result json.RawMessage, array string, path ...string) json.RawMessage {
	items, ok := rawjson.Get(result, array)
	if !ok || rawjson.KindOf(items) != rawjson.Array {
		return result
	}
	out := make(json.RawMessage, 0, len(items)+64)
	out = append(out, '[')
	changed := false
	n := 0
	rawjson.Each(items, func(_, v []byte) bool {
		if n++; n > 1 {
			out = append(out, ',')
		}
		if u, ok := rawjson.Get(v, path...); ok {
			uri := text(u)
			exposed := r.g.uris.seen(inst.srv, uri)
			if array == "contents" && uri == r.call.Original {
				exposed = r.call.Name
			}
			if exposed != uri {
				v = rawjson.Set(v, rawjson.Quote(exposed), path...)
				changed = true
			}
		}
		out = append(out, v...)
		return true
	})
	if !changed {
		return result
	}
	return rawjson.Set(result, append(out, ']'), array)
}

// targetRef routes completion/complete by what it completes.
func targetRef(r *request) error {
	if name, ok := rawjson.Get(r.f.ref, "name"); ok {
		s, ok := rawjson.String(name)
		if !ok {
			return transport.Errorf(transport.CodeInvalidParams, "params.ref.name is not a string")
		}
		r.route(prompts, s)
		return nil
	}
	uri, ok := rawjson.Get(r.f.ref, "uri")
	s, good := rawjson.String(uri)
	if !ok || !good {
		return transport.Errorf(transport.CodeInvalidParams, "params.ref has neither name nor uri")
	}
	r.routeURI(s)
	return nil
}

// runComplete forwards completion/complete.
func runComplete(ctx context.Context, r *request, c *interceptor.Call) (*interceptor.Result, error) {
	path := []string{"ref", "uri"}
	if _, ok := rawjson.Get(c.Params, "ref", "name"); ok {
		path[1] = "name"
		if r.item == nil && r.srv != nil {
			if l, _ := r.listOf(ctx, r.srv, prompts); l != nil {
				if it := l.byExposed[c.Name]; it != nil {
					r.item, c.Original = it, it.key
				}
			}
		}
		if len(r.snap.hiders) > 0 && (r.item == nil || !r.visible(ctx, c, prompts, r.srv, r.item)) {
			r.srv = nil
		}
	} else if r.srv == nil {
		if err := r.settleURI(ctx, c); err != nil {
			return nil, err
		}
	}
	if r.srv == nil {
		return nil, transport.Errorf(transport.CodeInvalidParams, "unknown reference %q", c.Name)
	}
	if c.Name != c.Original {
		c.Params = rawjson.Set(c.Params, rawjson.Quote(c.Original), path...)
	}
	return r.routed(ctx, c)
}
