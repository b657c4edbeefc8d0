package transport

import (
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// frontAccess decides which requests a front looks at at all.
type frontAccess struct {
	auth      Authenticator
	anonymous bool
	hosts     map[string]bool // host or host:port, in lower case
	origins   map[string]bool // in lower case
}

func newFrontAccess(o *HTTPOptions) (frontAccess, error) {
	a := frontAccess{auth: o.Authenticator, anonymous: o.AllowAnonymous, hosts: make(map[string]bool), origins: make(map[string]bool)}
	var faults []error
	if o.PublicURL != "" {
		u, err := url.Parse(o.PublicURL)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			faults = append(faults, fmt.Errorf("PublicURL %q is not an absolute http or https URL", o.PublicURL))
		case u.User != nil || u.RawQuery != "" || u.Fragment != "":
			faults = append(faults, errors.New("PublicURL has userinfo, a query or a fragment"))
		default:
			a.hosts[strings.ToLower(u.Host)] = true
			a.hosts[strings.ToLower(u.Hostname())] = true
			a.origins[strings.ToLower(u.Scheme+"://"+u.Host)] = true
		}
	}
	for _, host := range o.AllowedHosts {
		if host == "" || strings.ContainsAny(host, "/*@ ") {
			faults = append(faults, fmt.Errorf("AllowedHosts: %q is not a host with or without a port", host))
			continue
		}
		host = strings.ToLower(host)
		a.hosts[host] = true
		if strings.HasSuffix(host, "]") {
			a.hosts[hostname(host)] = true // an IPv6 address without a port
		}
	}
	for _, origin := range o.AllowedOrigins {
		u, err := url.Parse(origin)
		if origin != "null" && (err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil) {
			faults = append(faults, fmt.Errorf("AllowedOrigins: %q is not an origin such as https://app.example.com", origin))
			continue
		}
		a.origins[strings.ToLower(origin)] = true
	}
	return a, errors.Join(faults...)
}

// admit makes sure that the request may be looked at: by where it comes from,
// by the names that it uses, and by who sent it. It answers a request that may
// not, and a preflight.
func (h *HTTP) admit(w http.ResponseWriter, r *http.Request, methods string) (Principal, bool) {
	a := &h.access
	if a.auth == nil && !a.anonymous && !fromHere(r) {
		h.refuse(w, r, http.StatusForbidden, nil, CodeDenied, "this gateway serves its own machine only: set Authenticator to serve others, or AllowAnonymous to serve anyone")
		return Principal{}, false
	}
	if !a.hostAllowed(r) {
		h.refuse(w, r, http.StatusForbidden, nil, CodeDenied, fmt.Sprintf("the Host header %q is not allowed: add it to AllowedHosts or set PublicURL", cut(r.Host)))
		return Principal{}, false
	}
	if origins := r.Header["Origin"]; origins != nil {
		if len(origins) != 1 || !a.originAllowed(origins[0], r.Host) {
			h.refuse(w, r, http.StatusForbidden, nil, CodeDenied, fmt.Sprintf("the origin %q is not allowed: add it to AllowedOrigins", cut(origins[0])))
			return Principal{}, false
		}
		allowOrigin(w.Header(), origins[0])
	}
	if r.Method == http.MethodOptions {
		preflight(w, r, methods)
		return Principal{}, false
	}
	if a.auth == nil {
		return Principal{}, true
	}
	p, err := a.auth.Authenticate(r)
	if err != nil {
		h.unauthorized(w, r, err)
		return Principal{}, false
	}
	return p, true
}

// unauthorized sends what an authenticator said.
func (h *HTTP) unauthorized(w http.ResponseWriter, r *http.Request, err error) {
	status, text, code := http.StatusUnauthorized, "authentication is required", CodeDenied
	var t *Error
	if errors.As(err, &t) {
		if t.Status >= 400 && t.Status <= 599 {
			status = t.Status
		}
		copyHeader(w.Header(), t.Header)
	}
	if rpc := (*RPCError)(nil); errors.As(err, &rpc) {
		text, code = rpc.Message, rpc.Code
	} else if status != http.StatusUnauthorized {
		text = http.StatusText(status)
	}
	if status == http.StatusUnauthorized && w.Header()["Www-Authenticate"] == nil {
		w.Header()["Www-Authenticate"] = []string{"Bearer"}
	}
	h.o.Logger.Debug("a request was not authenticated", "status", status, "remote", r.RemoteAddr)
	h.refuse(w, r, status, nil, code, text)
}

// fromHere reports whether the client is on this machine.
func fromHere(r *http.Request) bool {
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return ap.Addr().Unmap().IsLoopback()
	}
	// No address of a network: a unix socket, or a connection in memory.
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && !strings.HasPrefix(local.Network(), "tcp") && !strings.HasPrefix(local.Network(), "udp")
}

// hostAllowed guards against DNS rebinding: a page whose name was made to
// point here sends that name.
func (a *frontAccess) hostAllowed(r *http.Request) bool {
	if loopbackHost(r.Host) {
		return true
	}
	if len(a.hosts) == 0 {
		local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		return !ok || !local.IP.IsLoopback()
	}
	host := strings.ToLower(r.Host)
	return a.hosts[host] || a.hosts[hostname(host)]
}

// originAllowed reports whether a page of origin may send requests to host,
// which is allowed itself.
func (a *frontAccess) originAllowed(origin, host string) bool {
	origin = strings.ToLower(origin)
	if a.origins[origin] {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" {
		return false
	}
	host = strings.ToLower(host)
	switch {
	case loopbackHost(host):
		return loopbackHost(u.Host)
	case u.Host == host:
		return a.hosts[host] || a.hosts[hostname(host)]
	}
	return false
}

// hostname is a host without its port and brackets.
func hostname(host string) string {
	if strings.HasPrefix(host, "[") {
		if i := strings.IndexByte(host, ']'); i > 0 {
			return host[1:i]
		}
		return host
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host, ':') == i {
		return host[:i]
	}
	return host
}

func loopbackHost(host string) bool {
	name := hostname(host)
	if name == "127.0.0.1" || strings.EqualFold(name, "localhost") {
		return true
	}
	if len(name) == 0 || name[0] != ':' && (name[0] < '0' || name[0] > '9') {
		return false
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.Unmap().IsLoopback()
}

// valueExposed are the headers that a page may read.
var valueExposed = []string{"Mcp-Session-Id, WWW-Authenticate, Retry-After"}

func allowOrigin(h http.Header, origin string) {
	h["Access-Control-Allow-Origin"] = []string{origin}
	h["Access-Control-Expose-Headers"] = valueExposed
	h.Add("Vary", "Origin")
}

// preflight answers OPTIONS. The origin has been checked, so what it asks for
// is allowed; the Mcp-Param-* headers cannot be listed otherwise.
func preflight(w http.ResponseWriter, r *http.Request, methods string) {
	h := w.Header()
	h.Set("Allow", methods)
	if r.Header.Get("Origin") != "" {
		h.Set("Access-Control-Allow-Methods", methods)
		if want := r.Header.Get("Access-Control-Request-Headers"); want != "" && len(want) <= 4096 {
			h.Set("Access-Control-Allow-Headers", want)
		}
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}

// accepts reads the Accept header: whether the client takes JSON, and whether
// it takes a stream of events.
func accepts(h http.Header) (asJSON, asEvents bool) {
	values := h["Accept"]
	if len(values) == 0 || len(values) == 1 && values[0] == acceptBoth {
		return true, true
	}
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			kind, params, _ := strings.Cut(part, ";")
			if q, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q="); ok && strings.Trim(q, "0.") == "" {
				continue
			}
			switch strings.ToLower(strings.TrimSpace(kind)) {
			case typeJSON, "application/*":
				asJSON = true
			case typeEvents, "text/*":
				asEvents = true
			case "*/*":
				asJSON, asEvents = true, true
			}
		}
	}
	return asJSON, asEvents
}

// sendsJSON reports whether the Content-Type is that of JSON.
func sendsJSON(h http.Header) bool {
	values := h["Content-Type"]
	if len(values) != 1 {
		return false
	}
	if values[0] == typeJSON {
		return true
	}
	kind, params, err := mime.ParseMediaType(values[0])
	return err == nil && kind == typeJSON && (params["charset"] == "" || strings.EqualFold(params["charset"], "utf-8"))
}

// one returns the value of a header that stands once at most. ok is false when
// it stands more often.
func one(h http.Header, name string) (value string, present, ok bool) {
	switch v := h[name]; len(v) {
	case 0:
		return "", false, true
	case 1:
		return v[0], true, true
	}
	return "", true, false
}

// copyHeader adds src to dst, but for what belongs to the connection.
func copyHeader(dst, src http.Header) {
	for k, v := range src {
		switch k = http.CanonicalHeaderKey(k); k {
		case "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "Mcp-Session-Id":
			continue
		}
		dst[k] = slices.Clone(v)
	}
}

// cut shortens what a client sent for a text.
func cut(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}
