package transport

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// ErrSessionExpired is matched by the error of a call that an HTTP server
// refused because it no longer knows the session. The call did not run. The
// [HTTPClient] has ended then: whoever wants to go on makes a new one.
var ErrSessionExpired = errors.New("the server no longer knows the session")

// HTTPClientOptions configures an [HTTPClient]. The zero value is useful.
type HTTPClientOptions struct {
	// Header is sent with every request, Authorization for example. It
	// cannot replace what the protocol itself sends.
	Header http.Header

	// HeaderFunc, when set, is asked for further headers before every
	// request, and replaces those of Header that it gives. It is called
	// from many goroutines. An error of it fails the request.
	HeaderFunc func(ctx context.Context) (http.Header, error)

	// RoundTripper carries the requests. Nil: one of [NewRoundTripper] with
	// the two fields below, which ends with the client. Clients of one server
	// should share one, and with it their connections.
	RoundTripper http.RoundTripper

	// TLS configures https, and Proxy chooses a proxy; the environment is
	// not read. HeaderTimeout bounds the wait for the header of an answer;
	// 0: as long as the call's context allows, since a server may let a call
	// run before it answers at all. They are not allowed beside RoundTripper.
	TLS           *tls.Config
	Proxy         func(*http.Request) (*url.URL, error)
	HeaderTimeout time.Duration

	// DisableSSE forbids the fallback to the old HTTP+SSE transport
	// (2024-11-05) when a server has no Streamable HTTP.
	DisableSSE bool

	// Reply bounds one message from the server in bytes [64 MiB], Depth its
	// nesting [200].
	Reply int64
	Depth int

	// Requests bounds how many requests of the server run at once [100];
	// those beyond are answered with an error.
	Requests int
}

// The defaults of [HTTPClientOptions].
const (
	DefaultReply    = 64 << 20
	DefaultRequests = 100
)

// Bounds that are no options.
const (
	answerTimeout  = 30 * time.Second // to send the answer to a server's request
	cancelTimeout  = 5 * time.Second  // to send notifications/cancelled
	deleteTimeout  = 2 * time.Second  // to end the session
	joinTimeout    = 5 * time.Second  // for receivers that do not heed their context
	endpointWait   = 10 * time.Second // for the endpoint event of HTTP+SSE
	drainTimeout   = 2 * time.Second  // for the end of a stream whose reply is there
	standbyWait    = time.Second      // for the answer to the first GET
	defaultRetry   = time.Second      // before a stream is opened again
	longestRetry   = 30 * time.Second // to which failures raise that
	resumeFailures = 5                // in a row, after which a call is given up
)

// HTTPClient is a [Conn] to a server behind a URL. It speaks Streamable HTTP
// of both eras and falls back to HTTP+SSE of 2024-11-05.
//
// Every Call is a POST by the goroutine that calls. What the answer's stream
// carries before the reply goes to the call's related receiver. In the modern
// era, which a request declares in its _meta, nothing else happens: no
// session, no further stream, and closing the answer cancels. In the legacy
// era the client keeps the session, opens the standalone stream once
// notifications/initialized has been sent, resumes streams that end early, and
// sends notifications/cancelled and, at the end, DELETE.
//
// A JSON-RPC error is a reply, whatever the HTTP status (it is in
// Message.Status), except 401, 403 and a lost session. Any other answer that
// is no reply is an [*Error].
type HTTPClient struct {
	url  *url.URL
	name string // the URL without userinfo and query, for errors
	o    HTTPClientOptions
	rt   http.RoundTripper
	base http.Header // of every request

	replies *sync.Pool // of *lent
	bodies  *sync.Pool // of *[]byte; nil when the round tripper may keep a body

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	done   chan struct{}
	wg     sync.WaitGroup

	seq       atomic.Uint64
	session   atomic.Pointer[string]
	version   atomic.Pointer[string]
	old       atomic.Pointer[oldStream] // set once the server turned out to speak HTTP+SSE
	receiver  Receiver                  // valid once listening is closed
	listening chan struct{}
	once      sync.Once  // Listen
	order     sync.Mutex // held while receiver gets a notification
	closeOnce sync.Once

	mu      sync.Mutex
	err     error // why the conn ended; nil while it lives
	closed  bool  // by Close
	standby bool  // the standalone stream was started
	calls   map[uint64]*httpCall
	serving map[string]context.CancelFunc // requests of the server, by raw id
}

var (
	_ Conn      = (*HTTPClient)(nil)
	_ Done      = (*HTTPClient)(nil)
	_ Versioned = (*HTTPClient)(nil)
)

// httpCall is a call in flight.
type httpCall struct {
	id      uint64
	m       *Message
	related Receiver
	ctx     context.Context // outlives the caller's by the end of the stream
	cancel  context.CancelCauseFunc
	unhook  func() bool // lets go of the caller's context
	modern  bool
	drained bool        // what is left of the stream ends ctx
	posted  atomic.Bool // the request may have reached the server

	mu    sync.Mutex // held while a message is delivered
	over  bool
	reply *Message // when it came on another stream than the call's own
}

// errAnswered ends the wait for a reply that came on another stream.
var errAnswered = errors.New("answered on another stream")

// NewHTTPClient returns a client of the server at rawURL. It does not connect.
// The URL is http or https and holds no user name or password: credentials
// are headers.
func NewHTTPClient(rawURL string, o *HTTPClientOptions) (*HTTPClient, error) {
	u, err := ParseServerURL(rawURL)
	if err != nil {
		return nil, err
	}
	c := &HTTPClient{
		url:       u,
		name:      publicURL(u),
		done:      make(chan struct{}),
		listening: make(chan struct{}),
		calls:     make(map[uint64]*httpCall),
		serving:   make(map[string]context.CancelFunc),
	}
	if o != nil {
		c.o = *o
	}
	if c.o.Reply <= 0 {
		c.o.Reply = DefaultReply
	}
	if c.o.Depth <= 0 {
		c.o.Depth = DefaultDepth
	}
	if c.o.Requests <= 0 {
		c.o.Requests = DefaultRequests
	}
	c.base, err = ownHeader(c.o.Header)
	switch {
	case err != nil:
		return nil, err
	case c.o.RoundTripper != nil && (c.o.TLS != nil || c.o.Proxy != nil || c.o.HeaderTimeout != 0):
		return nil, errors.New("HTTPClientOptions: RoundTripper excludes TLS, Proxy and HeaderTimeout, which are its own affair")
	case c.o.RoundTripper != nil:
		c.rt = c.o.RoundTripper
	default:
		c.rt = NewRoundTripper(&RoundTripperOptions{TLS: c.o.TLS, Proxy: c.o.Proxy, HeaderTimeout: c.o.HeaderTimeout})
	}
	if r, ok := c.rt.(*roundTripper); ok && r.lean.fits(&http.Request{URL: u}) {
		c.bodies = &r.bodies
	}
	if r, ok := c.rt.(*roundTripper); ok {
		c.replies = &r.replies
	} else {
		c.replies = new(sync.Pool)
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// ParseServerURL checks the URL of a server: http or https, a host, and no
// user name or password. The error does not show what it refuses.
func ParseServerURL(rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil:
		return nil, errors.New("the server's URL is malformed")
	case u.User != nil:
		return nil, fmt.Errorf("the server's URL %s holds a user name or password: put credentials into a header", publicURL(u))
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the server's URL %s is not http or https", publicURL(u))
	case u.Hostname() == "":
		return nil, fmt.Errorf("the server's URL %s names no host", publicURL(u))
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// publicURL is u without what may be secret: userinfo and query.
func publicURL(u *url.URL) string {
	p := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return p.String()
}

// Listen implements [Conn].
func (c *HTTPClient) Listen(r Receiver) {
	c.once.Do(func() {
		c.receiver = r
		close(c.listening)
	})
}

// SetProtocolVersion implements [Versioned].
func (c *HTTPClient) SetProtocolVersion(version string) { c.version.Store(&version) }

// Done implements [Done].
func (c *HTTPClient) Done() <-chan struct{} { return c.done }

// Err implements [Done].
func (c *HTTPClient) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// SessionID returns the id that a legacy server gave to the session; empty
// when it gave none.
func (c *HTTPClient) SessionID() string {
	if s := c.session.Load(); s != nil {
		return *s
	}
	return ""
}

// Call implements [Conn].
func (c *HTTPClient) Call(ctx context.Context, m *Message, related Receiver) (*Message, error) {
	call, err := c.begin(ctx, m, related)
	if err != nil {
		return nil, err
	}
	reply, err := c.do(call)
	if elsewhere := c.finish(call); elsewhere != nil {
		reply, err = elsewhere, nil
	}
	if err != nil {
		err = c.callError(ctx, call, err)
		call.cancel(nil)
		return nil, err
	}
	if !call.drained {
		call.cancel(nil)
	}
	r := *reply
	r.ID = m.ID
	if m.Method == methodListen {
		r.Result = retag(r.Result, m.ID)
	}
	return &r, nil
}

// begin registers a call.
func (c *HTTPClient) begin(ctx context.Context, m *Message, related Receiver) (*httpCall, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	call := &httpCall{id: c.seq.Add(1), m: m, related: related}
	call.ctx, call.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.err
	if c.closed && err == nil { // Close has cancelled the calls and goes on
		err = ErrClosed
	}
	if err != nil {
		call.cancel(nil)
		return nil, &Error{Status: statusOf(err), Err: err}
	}
	c.calls[call.id] = call
	call.unhook = context.AfterFunc(ctx, func() { call.cancel(context.Cause(ctx)) })
	return call, nil
}

// statusOf is the status that belongs to the error with which a conn ended.
func statusOf(err error) int {
	if errors.Is(err, ErrSessionExpired) {
		return http.StatusNotFound
	}
	return 0
}

// finish ends a call and returns its reply when that came on another stream.
// No message is delivered after it.
func (c *HTTPClient) finish(call *httpCall) *Message {
	c.mu.Lock()
	delete(c.calls, call.id)
	c.mu.Unlock()
	call.unhook()
	call.mu.Lock()
	defer call.mu.Unlock()
	call.over = true
	return call.reply
}

// callError is what Call returns for err; a call that was given up is
// cancelled on the wire.
func (c *HTTPClient) callError(ctx context.Context, call *httpCall, err error) error {
	if ctx.Err() != nil {
		if call.posted.Load() && !call.modern && call.m.Method != "initialize" {
			c.cancelOnWire(call)
		}
		return ctx.Err()
	}
	cause := context.Cause(call.ctx)
	if cause == ErrClosed {
		return &Error{Sent: call.posted.Load(), Err: ErrClosed}
	}
	if e := (*Error)(nil); errors.As(cause, &e) {
		return e
	}
	return err
}

// cancelOnWire tells a legacy server that nobody waits for a reply.
func (c *HTTPClient) cancelOnWire(call *httpCall) {
	params := append([]byte(nil), `{"requestId":`...)
	params = strconv.AppendUint(params, call.id, 10)
	params = append(params, `,"reason":"the caller gave up"}`...)
	c.spawn(func() {
		ctx, cancel := context.WithTimeout(c.ctx, cancelTimeout)
		defer cancel()
		_ = c.post(ctx, &Message{Method: methodCancelled, Params: params}) // best effort, as the protocol has it
	})
}

// Notify implements [Conn].
func (c *HTTPClient) Notify(ctx context.Context, m *Message) error {
	if err := c.Err(); err != nil {
		return &Error{Status: statusOf(err), Err: err}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	if err := c.post(ctx, m); err != nil {
		if c.ctx.Err() != nil {
			return &Error{Sent: true, Err: ErrClosed}
		}
		return err
	}
	if m.Method == "notifications/initialized" {
		c.startStandby(ctx)
	}
	return nil
}

// Close implements [Conn]. It ends the session, waiting at most two seconds
// for the server, and returns when the client's goroutines have ended; it
// waits at most five seconds for receivers that do not heed their context.
func (c *HTTPClient) Close() error {
	c.closeOnce.Do(func() {
		c.mu.Lock()
		c.closed = true
		for _, call := range c.calls {
			call.cancel(ErrClosed)
		}
		c.mu.Unlock()
		c.end(ErrClosed)
		c.cancel()
		c.endSession()
		joined := make(chan struct{})
		go func() { c.wg.Wait(); close(joined) }()
		wait := time.NewTimer(joinTimeout)
		defer wait.Stop()
		select {
		case <-joined:
		case <-wait.C:
		}
		if c.o.RoundTripper == nil {
			closeIdle(c.rt)
		}
	})
	return nil
}

// end makes err the reason why the conn ended, unless there is one. Calls in
// flight go on: whether they break is for their own streams to say.
func (c *HTTPClient) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.done)
	}
}

// spawn runs f in a goroutine that Close joins. It reports false, and does
// nothing, once the conn was closed.
func (c *HTTPClient) spawn(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		f()
	}()
	return true
}

// endSession deletes a legacy session.
func (c *HTTPClient) endSession() {
	id := c.SessionID()
	if id == "" || errors.Is(c.Err(), ErrSessionExpired) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), deleteTimeout)
	defer cancel()
	req, err := c.request(ctx, http.MethodDelete, c.url, nil)
	if err != nil {
		return
	}
	c.setLegacy(req.Header)
	if resp, err := c.rt.RoundTrip(req); err == nil {
		_ = resp.Body.Close() // the session is the server's to end; 405 is legal too
	}
}

// Methods that the transport itself has to know.
const (
	methodListen    = "subscriptions/listen"
	methodCancelled = "notifications/cancelled"
	methodProgress  = "notifications/progress"
)

// retag replaces the subscription id in a message of subscriptions/listen,
// which is the id on the wire, by the caller's.
func retag(raw, id json.RawMessage) json.RawMessage {
	if _, ok := rawjson.Get(raw, "_meta", MetaSubscription); !ok {
		return raw
	}
	return rawjson.Set(raw, id, "_meta", MetaSubscription)
}

// ownHeader copies and checks headers that the caller gives.
func ownHeader(h http.Header) (http.Header, error) {
	out := make(http.Header, len(h)+1)
	for name, values := range h {
		key := http.CanonicalHeaderKey(name)
		if !validHeaderName(key) {
			return nil, fmt.Errorf("the header name %q is not valid", name)
		}
		if reservedHeader(key) {
			return nil, fmt.Errorf("the header %s is the transport's own and cannot be set", key)
		}
		for _, v := range values {
			if !validHeaderValue(v) {
				return nil, fmt.Errorf("the value of the header %s holds characters that are not allowed", key)
			}
		}
		out[key] = append([]string(nil), values...)
	}
	return out, nil
}

// reservedHeader reports whether the transport sets a header itself.
func reservedHeader(key string) bool {
	switch key {
	case "Accept", "Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host",
		"Keep-Alive", "Last-Event-Id", "Mcp-Method", "Mcp-Name", "Mcp-Protocol-Version", "Mcp-Session-Id", "Proxy-Authorization",
		"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

func validHeaderName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) >= 0 {
			return false
		}
	}
	return s != ""
}

func validHeaderValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
