package transport

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

const (
	acceptBoth     = "application/json, text/event-stream"
	typeJSON       = "application/json"
	typeEvents     = "text/event-stream"
	maxRedirects   = 5
	maxErrorBody   = 64 << 10 // of an answer that is no message, read at most
	maxSessionID   = 4 << 10
	firstReadBound = 1 << 20 // allocated on the word of a Content-Length
	largestPooled  = 1 << 20 // of the buffers that are kept for further requests
)

// Header values that never change are shared between requests.
var (
	valueAcceptBoth   = []string{acceptBoth}
	valueAcceptEvents = []string{typeEvents}
	valueJSON         = []string{typeJSON}
)

// request makes an HTTP request with the headers that the caller configured.
func (c *HTTPClient) request(ctx context.Context, method string, u *url.URL, body []byte) (*http.Request, error) {
	h := make(http.Header, len(c.base)+8)
	for k, v := range c.base {
		h[k] = v
	}
	if c.o.HeaderFunc != nil {
		more, err := c.o.HeaderFunc(ctx)
		if err == nil {
			more, err = ownHeader(more)
		}
		if err != nil {
			return nil, &Error{Err: fmt.Errorf("making the headers of the request: %w", err)}
		}
		for k, v := range more {
			h[k] = v
		}
	}
	req := &http.Request{
		Method: method, URL: u, Host: u.Host, Header: h,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if body != nil {
		setBody(req, body)
	}
	return req.WithContext(ctx), nil
}

// requestBody is a body that is in memory; the lean round tripper takes the
// bytes as they are.
type requestBody struct {
	bytes.Reader
	b []byte
}

func (*requestBody) Close() error { return nil }

func setBody(req *http.Request, b []byte) {
	body := func() (io.ReadCloser, error) {
		r := &requestBody{b: b}
		r.Reset(b)
		return r, nil
	}
	req.Body, _ = body()
	req.GetBody = body
	req.ContentLength = int64(len(b))
}

// bodyBuffer returns an empty buffer for a body of about n bytes.
func (c *HTTPClient) bodyBuffer(n int) []byte {
	if c.bodies != nil {
		if b, _ := c.bodies.Get().(*[]byte); b != nil && cap(*b) >= n {
			return (*b)[:0]
		}
	}
	return make([]byte, 0, n)
}

// recycle takes back the body of a request whose round trip is over. Only the
// lean round tripper is known to have finished with it by then.
func (c *HTTPClient) recycle(req *http.Request) {
	b, ok := req.Body.(*requestBody)
	if !ok || c.bodies == nil || cap(b.b) > largestPooled || req.URL.Scheme != "http" {
		return
	}
	buf := b.b
	b.b = nil
	b.Reset(nil)
	req.GetBody = nil
	c.bodies.Put(&buf)
}

// setLegacy adds what a legacy session needs.
func (c *HTTPClient) setLegacy(h http.Header) {
	if s := c.session.Load(); s != nil {
		h["Mcp-Session-Id"] = []string{*s}
	}
	if v := c.version.Load(); v != nil {
		h["Mcp-Protocol-Version"] = []string{*v}
	}
}

// modernVersion returns the revision that a message declares, or that was
// agreed on, when it is modern; else "".
func (c *HTTPClient) modernVersion(m *Message) string {
	agreed := ""
	if v := c.version.Load(); v != nil {
		if EraOf(*v) != Modern {
			return ""
		}
		agreed = *v
	}
	if m.Method == "initialize" {
		return ""
	}
	if v, ok := rawjson.Get(m.Params, "_meta", MetaVersion); ok {
		if s, ok := rawjson.String(v); ok {
			return s
		}
	}
	return agreed
}

// setModern adds the headers of a modern request.
func setModern(h http.Header, m *Message, version string) {
	h["Mcp-Protocol-Version"] = []string{version}
	h["Mcp-Method"] = []string{EncodeHeaderValue(m.Method)}
	if name, ok := headerName(m); ok {
		h["Mcp-Name"] = []string{EncodeHeaderValue(name)}
	}
}

// headerName returns the value of Mcp-Name for m.
func headerName(m *Message) (string, bool) {
	key := ""
	switch m.Method {
	case "tools/call", "prompts/get":
		key = "name"
	case "resources/read":
		key = "uri"
	default:
		if !strings.HasPrefix(m.Method, "tasks/") {
			return "", false
		}
		key = "taskId"
	}
	v, ok := rawjson.Get(m.Params, key)
	if !ok {
		return "", false
	}
	return rawjson.String(v)
}

// EncodeHeaderValue writes a value as the headers Mcp-Name and Mcp-Param-*
// carry it: as it is when it consists of visible ASCII and inner spaces, else
// =?base64?…?= (2026-07-28, Streamable HTTP, value encoding).
func EncodeHeaderValue(s string) string {
	plain := true
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c >= 0x7f || c == ' ' && (i == 0 || i == len(s)-1) {
			plain = false
			break
		}
	}
	if plain && !(strings.HasPrefix(s, base64Prefix) && strings.HasSuffix(s, base64Suffix)) {
		return s
	}
	return base64Prefix + base64.StdEncoding.EncodeToString([]byte(s)) + base64Suffix
}

// DecodeHeaderValue is the reverse of [EncodeHeaderValue]. It reports false
// when the text between the marks is not base64.
func DecodeHeaderValue(s string) (string, bool) {
	rest, ok := strings.CutPrefix(s, base64Prefix)
	if !ok {
		return s, true
	}
	if rest, ok = strings.CutSuffix(rest, base64Suffix); !ok {
		return s, true
	}
	b, err := base64.StdEncoding.DecodeString(rest)
	return string(b), err == nil
}

const (
	base64Prefix = "=?base64?"
	base64Suffix = "?="
)

// roundTrip sends req and follows redirects of the same origin that keep
// method and body. Every error is an *Error.
func (c *HTTPClient) roundTrip(req *http.Request) (*http.Response, error) {
	for range maxRedirects {
		resp, err := c.rt.RoundTrip(req)
		if err != nil {
			return nil, &Error{Sent: maybeSent(err), Err: fmt.Errorf("%s %s: %w", req.Method, c.name, err)}
		}
		switch resp.StatusCode {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
			http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default:
			return resp, nil
		}
		discard(resp.Body)
		to, err := req.URL.Parse(resp.Header.Get("Location"))
		switch {
		case err != nil || resp.Header.Get("Location") == "":
			return nil, c.redirectError(resp, "without a usable Location")
		case resp.StatusCode != http.StatusTemporaryRedirect && resp.StatusCode != http.StatusPermanentRedirect:
			return nil, c.redirectError(resp, "which would lose the request; configure the final URL "+publicURL(to))
		case !sameOrigin(req.URL, to) || to.User != nil:
			return nil, c.redirectError(resp, "to another origin, "+publicURL(to)+", which would get the credentials; configure that URL if it is trusted")
		}
		next := req.Clone(req.Context())
		next.URL, next.Host = to, to.Host
		if req.GetBody != nil {
			next.Body, _ = req.GetBody()
		}
		req = next
	}
	return nil, &Error{Err: fmt.Errorf("%s %s: more than %d redirects", req.Method, c.name, maxRedirects)}
}

func (c *HTTPClient) redirectError(resp *http.Response, what string) error {
	return &Error{Status: resp.StatusCode, Err: fmt.Errorf("%s redirects %s", c.name, what)}
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// discard reads the little that may be left of a body, so that the connection
// can be used again, and closes it.
func discard(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 4<<10) // whatever fails here costs only the connection
	_ = body.Close()
}

// readAll reads a body of at most limit bytes into one buffer: that of l
// when it is not nil, which is as long as the body.
func readAll(r io.Reader, length, limit int64, l *lent) ([]byte, error) {
	if length > limit {
		return nil, replyTooLarge(limit)
	}
	var b []byte
	if l != nil {
		b = l.buf
	} else {
		size := int64(4 << 10)
		if length >= 0 {
			size = min(length+1, firstReadBound) // one more, so that the end is seen
		}
		b = make([]byte, 0, size)
	}
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case int64(len(b)) > limit:
			return nil, replyTooLarge(limit)
		case err == io.EOF:
			return b, nil
		case err != nil:
			return nil, err
		}
	}
}

func replyTooLarge(limit int64) error {
	return Errorf(CodeLimit, "the server's reply is longer than the limit of %d bytes (reply)", limit)
}

// statusError makes the error of an answer that is no reply.
func (c *HTTPClient) statusError(req *http.Request, resp *http.Response, hint string) *Error {
	e := &Error{Status: resp.StatusCode, Header: keptHeader(resp.Header)}
	// 4xx: the server did not take the request up; 408 says only that it
	// waited too long for something.
	e.Sent = resp.StatusCode >= 500 || resp.StatusCode == http.StatusRequestTimeout || resp.StatusCode < 400
	text := http.StatusText(resp.StatusCode)
	if text == "" {
		text = "unknown status"
	}
	if hint != "" {
		text += ", " + hint
	}
	e.Err = fmt.Errorf("%s %s: %s", req.Method, c.name, text)
	return e
}

// keptHeader keeps what belongs to a status; nil when there is nothing.
func keptHeader(h http.Header) http.Header {
	var out http.Header
	for _, k := range []string{"Www-Authenticate", "Retry-After"} {
		if v := h[k]; len(v) > 0 {
			if out == nil {
				out = make(http.Header, 2)
			}
			out[k] = v
		}
	}
	return out
}

// mediaType is the lower-case type of a Content-Type without parameters.
func mediaType(h http.Header) string {
	v := h["Content-Type"]
	if len(v) == 0 {
		return ""
	}
	switch v[0] {
	case typeJSON, typeEvents:
		return v[0]
	}
	t, _, _ := strings.Cut(v[0], ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// bodyError reads an answer of an error status as a JSON-RPC error that
// belongs to the request with the given id on the wire. Servers may leave the
// id out or send null.
func bodyError(body []byte, id json.RawMessage, depth int) (*Message, bool) {
	if rawjson.KindOf(body) != rawjson.Object || rawjson.Valid(body, depth) != nil {
		return nil, false
	}
	e, ok := rawjson.Get(body, "error")
	if !ok || rawjson.KindOf(e) != rawjson.Object {
		return nil, false
	}
	if code, ok := rawjson.Get(e, "code"); !ok || rawjson.KindOf(code) != rawjson.Number {
		return nil, false
	}
	got, ok := rawjson.Get(body, "id")
	if ok && string(got) != "null" && !bytes.Equal(got, id) {
		return nil, false
	}
	return &Message{ID: id, Error: e}, true
}

// wireID is the id of a call on the wire.
func wireID(id uint64) json.RawMessage { return strconv.AppendUint(nil, id, 10) }
