package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway/admin"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// run serves until it is told to end or its client goes away.
func (s *serving) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1) // the front ended by itself
	var server *http.Server
	if s.o.stdio {
		go func() { ended <- s.gw.ServeStdio(ctx, s.app.in, s.app.out) }()
	} else {
		mux := http.NewServeMux()
		s.gw.Register(mux)
		server = &http.Server{
			Handler: mux, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 64 << 10,
			ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		}
		go func() { ended <- server.Serve(s.listener) }()
	}
	s.unconfined()
	s.confined(ctx)
	s.ready()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if s.watch.changed() {
				s.log.Info("the configuration file changed")
				_ = s.configs.reload(ctx)
			}
		case sig := <-s.sigs:
			if sig == syscall.SIGHUP {
				s.watch.changed()
				_ = s.configs.reload(ctx)
				continue
			}
			return s.end(server, ended, "signal", sig.String())
		case <-s.drain:
			return s.end(server, ended, "asked", "admin socket")
		case <-ctx.Done():
			return s.end(server, ended, "reason", ctx.Err().Error())
		case err := <-ended:
			if s.o.stdio && (err == nil || errors.Is(err, transport.ErrClosed)) {
				return s.end(nil, nil, "reason", "the client went away")
			}
			return &exit{exitFound, fmt.Errorf("serving: %w", err)}
		}
	}
}

// end drains: calls in flight may end within the time of --drain-timeout. A
// second signal ends it at once, a third leaves everything as it is.
func (s *serving) end(server *http.Server, ended <-chan error, attrs ...any) error {
	s.log.Info("draining", attrs...)
	ctx, cancel := context.WithTimeout(context.Background(), s.o.drain)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.gw.Shutdown(ctx) }()
	var err error
	for waiting := true; waiting; {
		select {
		case err = <-done:
			waiting = false
		case sig := <-s.sigs:
			if sig == syscall.SIGHUP {
				continue
			}
			if ctx.Err() != nil {
				os.Exit(exitFound)
			}
			cancel()
		}
	}
	if server != nil {
		short, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		if server.Shutdown(short) != nil {
			_ = server.Close()
		}
		<-ended
	}
	if err != nil {
		return &exit{exitFound, fmt.Errorf("calls in flight were cut off: %w", err)}
	}
	s.log.Info("ended")
	return nil
}

// describe adds to a status what the gateway does not know.
func (s *serving) describe(st *admin.Status) {
	cfg := s.configs.now()
	st.PID, st.URL, st.Config = os.Getpid(), s.url, cfg.Path
	for i := range st.Servers {
		for _, srv := range cfg.Servers {
			if srv.Name == st.Servers[i].Name {
				st.Servers[i].Kind, st.Servers[i].Confined = string(srv.Kind), srv.Confined
			}
		}
	}
}

// audit logs who did what through the admin socket.
func (s *serving) audit(_ transport.Principal, a admin.Action, err error) {
	level := slog.LevelInfo
	if a.Verb == admin.ReadStatus || a.Verb == admin.ReadEvents {
		level = slog.LevelDebug
	}
	attrs := []any{"action", string(a.Verb)}
	if a.Server != "" {
		attrs = append(attrs, "server", a.Server)
	}
	if err != nil {
		attrs = append(attrs, "error", err)
	}
	s.log.Log(context.Background(), level, "admin", attrs...)
}
