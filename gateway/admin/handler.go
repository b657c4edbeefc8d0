package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Gateway is what a handler looks into: a [*gateway.Gateway].
type Gateway interface {
	Status() gateway.Status
	Usage(ctx context.Context) map[string]runtime.Usage
	Restart(ctx context.Context, server string) error
}

var _ Gateway = (*gateway.Gateway)(nil)

// Action is what somebody wants to do.
type Action struct {
	Verb   Verb
	Server string // of Restart
}

// Verb is a kind of action.
type Verb string

// The verbs.
const (
	ReadStatus Verb = "status"
	ReadEvents Verb = "events"
	Restart    Verb = "restart"
	Reload     Verb = "reload"
	Drain      Verb = "drain"
)

// Authorize allows an action by returning nil. Its error is shown to the one
// who asked. It is safe for concurrent use.
type Authorize func(p transport.Principal, a Action) error

// AllowAll allows everything: for a socket that nobody but the owner can open.
func AllowAll(transport.Principal, Action) error { return nil }

// Options configures [New]. The zero value offers status and restart.
type Options struct {
	// Authenticator finds out who is asking [nobody: the anonymous
	// principal].
	Authenticator transport.Authenticator

	// Feed has the events of the gateway [none are offered].
	Feed *Feed

	// Reload reads the configuration again and returns when it is in force,
	// or why not [not offered].
	Reload func(ctx context.Context) error

	// Drain begins the end of the program and returns at once [not
	// offered].
	Drain func()

	// Describe adds to a status what the gateway does not know: the
	// process, the URL, what confines a server [nothing].
	Describe func(*Status)

	// Audit is told of every action that was asked for when it is over; err
	// says why it was refused or failed [nobody]. It must not block.
	Audit func(p transport.Principal, a Action, err error)
}

// maxReload bounds a reload, should its caller have no deadline.
const maxReload = time.Minute

// maxUsage bounds how long the drivers may take to tell what instances use.
const maxUsage = 2 * time.Second

type handler struct {
	gw        Gateway
	authorize Authorize
	o         Options
}

// New makes the handler. authorize is asked for every request; to leave it out
// is a mistake in the program, and panics.
func New(gw Gateway, authorize Authorize, o *Options) http.Handler {
	if authorize == nil {
		panic("admin: New needs an Authorize: it decides who may do what")
	}
	h := &handler{gw: gw, authorize: authorize}
	if o != nil {
		h.o = *o
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", h.action(ReadStatus, h.status))
	mux.HandleFunc("POST /v1/servers/{name}/restart", h.action(Restart, h.restart))
	if h.o.Feed != nil {
		mux.HandleFunc("GET /v1/events", h.action(ReadEvents, h.events))
	}
	if h.o.Reload != nil {
		mux.HandleFunc("POST /v1/reload", h.action(Reload, h.reload))
	}
	if h.o.Drain != nil {
		mux.HandleFunc("POST /v1/drain", h.action(Drain, h.drain))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusNotFound, fmt.Errorf("%s %s is not offered here", r.Method, r.URL.Path))
	})
	// A page in a browser must not act on a handler that is served by TCP.
	return http.NewCrossOriginProtection().Handler(mux)
}

// action authorises a request, runs it and has it audited.
func (h *handler) action(v Verb, f func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a := Action{Verb: v, Server: r.PathValue("name")}
		var p transport.Principal
		var err error
		if h.o.Authenticator != nil {
			if p, err = h.o.Authenticator.Authenticate(r); err != nil {
				refuse(w, err)
				h.audit(p, a, err)
				return
			}
		}
		if err = h.authorize(p, a); err != nil {
			answer(w, http.StatusForbidden, err)
		} else if err = f(w, r); err != nil {
			answer(w, http.StatusConflict, err)
		}
		h.audit(p, a, err)
	}
}

func (h *handler) audit(p transport.Principal, a Action, err error) {
	if h.o.Audit != nil {
		h.o.Audit(p, a, err)
	}
}

// refuse answers somebody who is not known, with the challenge of the
// authenticator.
func refuse(w http.ResponseWriter, err error) {
	code := http.StatusUnauthorized
	var t *transport.Error
	if errors.As(err, &t) {
		for k, v := range t.Header {
			w.Header()[k] = v
		}
		if t.Status != 0 {
			code = t.Status
		}
	}
	answer(w, code, errors.New("who is asking is not known"))
}

// failure is the body of an answer that is not 2xx.
type failure struct {
	Error string `json:"error"`
}

// answer writes err, or an empty object when there is none.
func answer(w http.ResponseWriter, code int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	body := []byte("{}\n")
	if err != nil {
		body, _ = json.Marshal(failure{err.Error()})
		body = append(body, '\n')
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

func (h *handler) status(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), maxUsage)
	defer cancel()
	st := statusOf(h.gw.Status(), h.gw.Usage(ctx))
	if h.o.Describe != nil {
		h.o.Describe(&st)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(st)
	return nil
}

func (h *handler) restart(w http.ResponseWriter, r *http.Request) error {
	if err := h.gw.Restart(r.Context(), r.PathValue("name")); err != nil {
		var rpc *transport.RPCError
		if errors.As(err, &rpc) {
			return errors.New(rpc.Message)
		}
		return err
	}
	answer(w, http.StatusOK, nil)
	return nil
}

func (h *handler) reload(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), maxReload)
	defer cancel()
	if err := h.o.Reload(ctx); err != nil {
		return err
	}
	answer(w, http.StatusOK, nil)
	return nil
}

func (h *handler) drain(w http.ResponseWriter, _ *http.Request) error {
	answer(w, http.StatusAccepted, nil)
	_ = http.NewResponseController(w).Flush() // the server may end with the program
	h.o.Drain()
	return nil
}

// events streams until the client goes away.
func (h *handler) events(w http.ResponseWriter, r *http.Request) error {
	queue, end := h.o.Feed.listen()
	if queue == nil {
		return fmt.Errorf("%d listen already", maxListeners)
	}
	defer end()
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	rc := http.NewResponseController(w)
	enc := json.NewEncoder(w)
	if err := rc.Flush(); err != nil {
		return nil
	}
	for {
		select {
		case <-r.Context().Done():
			return nil
		case e := <-queue:
			_ = rc.SetWriteDeadline(time.Now().Add(10 * time.Second))
			if enc.Encode(e) != nil || rc.Flush() != nil {
				return nil
			}
		}
	}
}
