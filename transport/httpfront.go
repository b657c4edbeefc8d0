package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// HTTPOptions configures [NewHTTP]. The zero value is useful and safe: it
// serves clients on this machine only. Zero means the default, in brackets.
type HTTPOptions struct {
	// Authenticator finds out who sent a request, for every request. Without
	// one only loopback is served, unless AllowAnonymous is set; all callers
	// are then the anonymous principal.
	Authenticator  Authenticator
	AllowAnonymous bool

	// PublicURL is the URL under which clients reach the front. Its host is
	// accepted in the Host header, its origin in the Origin header.
	PublicURL string

	// AllowedHosts are further values of the Host header that are accepted,
	// with a port or, for any port, without one. Loopback names are always
	// accepted. On a listener that is not loopback the Host header is
	// checked once PublicURL or AllowedHosts is set.
	AllowedHosts []string

	// AllowedOrigins are the origins of web pages that may use the front
	// ("https://app.example.com") beside those of its own hosts.
	AllowedOrigins []string

	// Limits bounds a request body and its nesting.
	Limits Limits

	// MaxSessions bounds the legacy sessions at once [10,000], and
	// MaxSessionsPerPrincipal those of one principal [10,000]. MaxStreams
	// bounds the GET streams of one session [16].
	MaxSessions             int
	MaxSessionsPerPrincipal int
	MaxStreams              int

	// MaxCalls bounds the requests that the host works on at once [10,000],
	// the streams of subscriptions/listen included, and MaxCallsPerPrincipal
	// those of one principal [10,000].
	MaxCalls             int
	MaxCallsPerPrincipal int

	// Resume bounds the bytes of sent events that one session keeps for
	// Last-Event-ID [1 MiB]. ResumeTotal bounds those of all sessions, and
	// what waits for a client to open a stream [256 MiB]. A negative Resume
	// turns resumption off.
	Resume      int
	ResumeTotal int64

	// Queue bounds the bytes that wait for a slow reader on one stream
	// [4 MiB]. Over it progress and log messages are merged or dropped and
	// counted; for anything else the stream is closed, and a legacy client
	// can resume it. So that it can, a stream of a session queues no more
	// than Resume.
	Queue int

	// SessionIdle ends a session that nobody used for so long [30 min].
	SessionIdle time.Duration

	// KeepAlive is the longest silence of a stream [15 s]: then a comment is
	// sent. A request without an answer for that long becomes a stream.
	KeepAlive time.Duration

	// HeaderTimeout bounds the time in which a client sends the header of a
	// request [30 s]; it takes effect in the server of [HTTP.Server].
	// BodyTimeout bounds the time for the body [30 s], WriteTimeout the time
	// in which a client must take what one write gives it [30 s].
	HeaderTimeout time.Duration
	BodyTimeout   time.Duration
	WriteTimeout  time.Duration

	// LegacySSE allows [HTTP.SSEHandler], the front of HTTP+SSE (2024-11-05).
	LegacySSE bool

	// SessionOpened and SessionClosed tell of legacy sessions, OnDrop of
	// messages that a slow or absent reader did not get; its session is
	// empty for a modern request. They are called without locks and must
	// not block.
	SessionOpened func(id string, p Principal)
	SessionClosed func(id string, p Principal, reason error)
	OnDrop        func(session string, n int)

	// Logger gets the front's log; nothing is logged without it.
	Logger *slog.Logger
}

// The defaults of [HTTPOptions].
const (
	DefaultSessions     = 10_000
	DefaultCalls        = 10_000
	DefaultStreams      = 16
	DefaultResume       = 1 << 20
	DefaultResumeTotal  = 256 << 20
	DefaultSessionIdle  = 30 * time.Minute
	DefaultKeepAlive    = 15 * time.Second
	DefaultWriteTimeout = 30 * time.Second
)

// Bounds that are no options.
const (
	closeWait     = 10 * time.Second // for handlers, in Close
	lastWrite     = time.Second      // for what is being written when the front closes
	resumeAge     = 5 * time.Minute  // for which a quiet session keeps what it sent
	retryAfter    = "5"              // seconds
	resumeRetryMS = 1000             // told to clients that may resume

	// For what belongs to no call and waits for a client without a stream,
	// in bytes; less for progress and log messages, which age.
	maxBacklog      = 1 << 20
	maxLightBacklog = 64 << 10
)

func (o HTTPOptions) withDefaults() HTTPOptions {
	o.Limits = o.Limits.WithDefaults()
	setDefault(&o.MaxSessions, DefaultSessions)
	setDefault(&o.MaxSessionsPerPrincipal, DefaultSessions)
	setDefault(&o.MaxStreams, DefaultStreams)
	setDefault(&o.MaxCalls, DefaultCalls)
	setDefault(&o.MaxCallsPerPrincipal, DefaultCalls)
	if o.Resume == 0 {
		o.Resume = DefaultResume
	}
	setDefault(&o.ResumeTotal, DefaultResumeTotal)
	setDefault(&o.Queue, DefaultQueue)
	setDefault(&o.SessionIdle, DefaultSessionIdle)
	setDefault(&o.KeepAlive, DefaultKeepAlive)
	setDefault(&o.HeaderTimeout, DefaultWriteTimeout)
	setDefault(&o.BodyTimeout, DefaultWriteTimeout)
	setDefault(&o.WriteTimeout, DefaultWriteTimeout)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func setDefault[T int | int64 | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// HTTP is the HTTP front: an [http.Handler] for the one URL of a [Host],
// which serves both eras of Streamable HTTP. It can be mounted anywhere.
//
// The era is decided for each request. A body whose params._meta names a
// protocol version, or a request whose MCP-Protocol-Version is modern, goes to
// Host.Stateless and its context ends when the client goes away. Everything
// else is legacy: initialize opens a session by Host.Accept, requests run
// until they are answered or cancelled even when the client's connection
// breaks, and what was sent as an event can be fetched again.
//
// An answer is a plain JSON body unless something has to be sent before it;
// then, or after KeepAlive, it becomes a stream of events. Status and headers
// are sent with the first message, not before.
//
// Every goroutine of an HTTP belongs to a handler that runs, but for one
// clock. Shutdown drains, Close ends all at once.
type HTTP struct {
	host      Host
	o         HTTPOptions
	access    frontAccess
	supported json.RawMessage // every revision, as a JSON array

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	period time.Duration // of the clock
	now    atomic.Int64  // in periods
	once   sync.Once
	err    error // of Close

	mu       sync.Mutex
	sessions map[string]*frontSession
	owners   map[ownerKey]ownerUse
	opened   int           // sessions, those being opened included
	running  frontExchange // the head of the list of exchanges
	handlers int           // exchanges, and requests of HTTP+SSE
	calls    int           // requests that the host works on
	draining bool
	closed   bool
	quiet    chan struct{} // closed when draining and no call runs
	empty    chan struct{} // closed when closed and no handler runs

	kept    atomic.Int64 // bytes for resumption
	streams atomic.Int64
	dropped atomic.Int64
}

var _ http.Handler = (*HTTP)(nil)

// NewHTTP makes a front for host. The error joins every fault of the options;
// nil options are fine. The front has one goroutine until Close.
func NewHTTP(host Host, o *HTTPOptions) (*HTTP, error) {
	if o == nil {
		o = &HTTPOptions{}
	}
	if host == nil {
		return nil, errors.New("transport: NewHTTP without a Host")
	}
	h := &HTTP{
		host: host, o: o.withDefaults(),
		sessions: make(map[string]*frontSession), owners: make(map[ownerKey]ownerUse),
		quiet: make(chan struct{}), empty: make(chan struct{}),
	}
	h.running.next, h.running.prev = &h.running, &h.running
	var err error
	if h.access, err = newFrontAccess(&h.o); err != nil {
		return nil, err
	}
	h.supported = append(h.supported, '[')
	for i, v := range append(append([]string(nil), ModernVersions...), LegacyVersions...) {
		if i > 0 {
			h.supported = append(h.supported, ',')
		}
		h.supported = rawjson.AppendString(h.supported, v)
	}
	h.supported = append(h.supported, ']')
	h.period = max(min(h.o.KeepAlive, h.o.BodyTimeout, h.o.SessionIdle)/4, time.Millisecond)
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.wg.Go(h.clock)
	return h, nil
}

// Server returns a server for handler, nil meaning h itself, with the
// timeouts and bounds that a front on the open network needs and that only a
// server can keep: the time for a header, the time between requests, the size
// of a header. It has no ReadTimeout and no WriteTimeout, which would end
// streams; h bounds bodies and writes itself.
func (h *HTTP) Server(handler http.Handler) *http.Server {
	if handler == nil {
		handler = h
	}
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: h.o.HeaderTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(h.o.Logger.Handler(), slog.LevelDebug),
	}
}

// HTTPStats is a snapshot of what a front does.
type HTTPStats struct {
	Sessions int   // legacy sessions
	Streams  int   // open streams of events
	Calls    int   // requests that wait for their answer
	Kept     int64 // bytes kept for resumption, or for a client to open a stream
	Dropped  int64 // messages dropped since the start
}

// Stats returns a snapshot.
func (h *HTTP) Stats() HTTPStats {
	h.mu.Lock()
	s := HTTPStats{Sessions: len(h.sessions), Calls: h.calls}
	h.mu.Unlock()
	s.Streams, s.Kept, s.Dropped = int(h.streams.Load()), h.kept.Load(), h.dropped.Load()
	return s
}

// Shutdown drains the front: new sessions and requests get 503 with
// Retry-After, answers to the host's own requests and cancellations are still
// taken. When the last request has been answered it closes the front. A host
// ends its long requests, such as subscriptions/listen, itself. When ctx ends
// first, Shutdown returns its error and leaves the rest to Close.
func (h *HTTP) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	if !h.draining {
		h.draining = true
		if h.calls == 0 {
			close(h.quiet)
		}
	}
	h.mu.Unlock()
	select {
	case <-h.quiet:
		return h.Close()
	case <-h.ctx.Done():
		return h.Close()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends every session, request and stream, and waits for their handlers,
// ten seconds at most: then the error says how many did not end. It is
// idempotent.
func (h *HTTP) Close() error {
	h.once.Do(func() {
		h.mu.Lock()
		if !h.draining {
			h.draining = true
			if h.calls == 0 {
				close(h.quiet)
			}
		}
		h.closed = true
		if h.handlers == 0 {
			close(h.empty)
		}
		var exchanges []*frontExchange
		for ex := h.running.next; ex != &h.running; ex = ex.next {
			exchanges = append(exchanges, ex)
		}
		sessions := make([]*frontSession, 0, len(h.sessions))
		for _, s := range h.sessions {
			sessions = append(sessions, s)
		}
		h.mu.Unlock()
		h.cancel()
		for _, s := range sessions {
			s.end(ErrClosed)
		}
		for _, ex := range exchanges {
			ex.abort()
		}
		if !h.wait(lastWrite) {
			for _, ex := range exchanges {
				ex.abortStream()
			}
			if !h.wait(closeWait) {
				h.mu.Lock()
				h.err = fmt.Errorf("closing the HTTP front: %d requests did not end within %s", h.handlers, closeWait)
				h.mu.Unlock()
			}
		}
		h.wg.Wait()
	})
	return h.err
}

// wait waits for the last handler.
func (h *HTTP) wait(d time.Duration) bool {
	limit := time.NewTimer(d)
	defer limit.Stop()
	select {
	case <-h.empty:
		return true
	case <-limit.C:
		return false
	}
}

// enter registers an exchange; false when the front is closed.
func (h *HTTP) enter(ex *frontExchange) bool {
	ex.born = h.now.Load()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.handlers++
	ex.prev, ex.next = h.running.prev, &h.running
	ex.prev.next, ex.next.prev = ex, ex
	return true
}

// leave undoes enter.
func (h *HTTP) leave(ex *frontExchange) {
	ex.mu.Lock()
	ex.left = true
	ex.mu.Unlock()
	h.mu.Lock()
	ex.prev.next, ex.next.prev = ex.next, ex.prev
	h.exit()
	h.mu.Unlock()
}

// exit notes, with mu held, that a handler has ended.
func (h *HTTP) exit() {
	if h.handlers--; h.handlers == 0 && h.closed {
		close(h.empty)
	}
}

// ownerUse is what one principal has of the front.
type ownerUse struct{ sessions, calls int }

// uses changes what a principal has, with mu held.
func (h *HTTP) uses(owner ownerKey, sessions, calls int) {
	use := h.owners[owner]
	use.sessions += sessions
	use.calls += calls
	if use == (ownerUse{}) {
		delete(h.owners, owner)
		return
	}
	h.owners[owner] = use
}

// begin counts n requests of p that the host is to work on. The error says why
// it must not.
func (h *HTTP) begin(p *Principal, n int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch owner := p.owner(); {
	case h.draining:
		return errDraining()
	case h.calls+n > h.o.MaxCalls:
		return later(http.StatusServiceUnavailable, limited("MaxCalls", "the gateway works on %d requests, its limit", h.o.MaxCalls))
	case h.owners[owner].calls+n > h.o.MaxCallsPerPrincipal:
		return later(http.StatusTooManyRequests, limited("MaxCallsPerPrincipal", "the caller has %d requests running, the limit", h.o.MaxCallsPerPrincipal))
	default:
		h.calls += n
		h.uses(owner, 0, n)
	}
	return nil
}

// done undoes begin.
func (h *HTTP) done(p *Principal, n int) {
	h.mu.Lock()
	h.uses(p.owner(), 0, -n)
	if h.calls -= n; h.calls == 0 && h.draining && n > 0 {
		close(h.quiet)
	}
	h.mu.Unlock()
}

// contain makes a panic of the host the error of the one message that it is
// about.
func (h *HTTP) contain(method string, err *error) {
	if v := recover(); v != nil {
		h.o.Logger.Error("the host panicked", "method", method, "panic", v, "stack", string(debug.Stack()))
		*err = Errorf(CodeInternal, "internal error")
	}
}

// drop counts messages that a client did not get.
func (h *HTTP) drop(session string, n int) {
	if n == 0 {
		return
	}
	h.dropped.Add(int64(n))
	if h.o.OnDrop != nil {
		h.o.OnDrop(session, n)
	}
}

// clock is the one goroutine of a front. It counts time coarsely, so that a
// request costs no timer of its own.
func (h *HTTP) clock() {
	t := time.NewTicker(h.period)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			h.now.Add(1)
			h.sweep()
		case <-h.ctx.Done():
			return
		}
	}
}

// passed reports whether d has passed since a reading of the clock, which may
// have been almost a period old.
func (h *HTTP) passed(since int64, d time.Duration) bool {
	return time.Duration(h.now.Load()-since-1)*h.period >= d
}

// sweep looks after what has taken too long.
func (h *HTTP) sweep() {
	var late []*frontExchange
	var sessions []*frontSession
	h.mu.Lock()
	for ex := h.running.next; ex != &h.running; ex = ex.next {
		if !h.passed(ex.born, min(h.o.KeepAlive, h.o.BodyTimeout)) {
			break // the list is in the order of time
		}
		late = append(late, ex)
	}
	for _, s := range h.sessions {
		if h.passed(s.used.Load(), min(h.o.SessionIdle, resumeAge)) {
			sessions = append(sessions, s)
		}
	}
	h.mu.Unlock()
	for _, ex := range late {
		ex.late()
	}
	for _, s := range sessions {
		s.idle()
	}
}
