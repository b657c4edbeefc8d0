package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/gateway/admin"
	"github.com/gatehouse-mcp/gatehouse/gateway/config"
)

const defaultListen = "127.0.0.1:8811"

// serveOptions are the flags of serve.
type serveOptions struct {
	listen  string
	profile string
	stdio   bool
	drain   time.Duration
	log     logging
}

func (a *app) serveCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the configured MCP servers behind one endpoint",
		Long: `Serve the configured MCP servers behind one endpoint: /mcp of an HTTP
listener, or standard input and output.

/healthz and /readyz on the same listener say how the servers are. SIGHUP, or
a change of the file, reloads the configuration; a bad one is logged and the
running one stays. SIGTERM and SIGINT stop taking work, wait for the calls in
flight, and end; a second one ends at once.`,
		Example: `  gatehouse serve
  gatehouse serve --config gatehouse.yaml --listen 127.0.0.1:9000
  gatehouse serve --config gatehouse.yaml --stdio     # as the command of an MCP client
  gatehouse serve --profile review                    # one of the file's profiles
  gatehouse serve --log-format json --log-file gatehouse.log`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), &o) },
	}
	a.configFlag(cmd)
	cmd.Flags().StringVar(&o.listen, "listen", "", "`ADDR` to serve on (default the configuration's listen, else "+defaultListen+")")
	cmd.Flags().StringVar(&o.profile, "profile", "", "serve what the configuration's profile `NAME` has, instead of all servers")
	cmd.Flags().BoolVar(&o.stdio, "stdio", false, "serve one client on standard input and output")
	cmd.Flags().DurationVar(&o.drain, "drain-timeout", 30*time.Second, "how long to wait for calls in flight at the end")
	cmd.MarkFlagsMutuallyExclusive("listen", "stdio")
	o.log.flags(cmd)
	return cmd
}

// load reads the configuration; its faults end the program with code 2.
func (a *app) load(ctx context.Context) (*config.Config, error) {
	path, err := a.configFile()
	if err != nil {
		return nil, err
	}
	return a.loadFile(ctx, path)
}

func (a *app) loadFile(ctx context.Context, path string) (*config.Config, error) {
	cfg, err := config.Load(ctx, path, a.kinds())
	if err != nil {
		return nil, &exit{exitUsage, err}
	}
	return cfg, nil
}

func (a *app) serve(ctx context.Context, o *serveOptions) error {
	if ctx == nil {
		ctx = context.Background()
	}
	log, closeLog, err := o.log.open(a.err)
	if err != nil {
		return &exit{exitUsage, err}
	}
	defer closeLog()
	a.log = log
	path, err := a.configFile()
	if err != nil {
		return err
	}
	watch := newWatcher(path) // before it is read, so that no change is missed
	cfg, err := a.loadFile(ctx, path)
	if err != nil {
		return err
	}
	s := &serving{app: a, o: o, log: log, watch: watch, feed: admin.NewFeed(gateway.Events{})}
	defer s.close()
	if err := s.open(cfg); err != nil {
		return err
	}
	return s.run(ctx)
}

// serving is one gateway while it serves.
type serving struct {
	app   *app
	o     *serveOptions
	log   *slog.Logger
	watch *watcher
	feed  *admin.Feed

	gw       *gateway.Gateway
	configs  *configs
	url      string // of the MCP endpoint; empty on stdio
	listener net.Listener
	admin    *http.Server
	sigs     chan os.Signal
	drain    chan struct{} // told through the admin socket
	closers  []func()
}

// open makes everything that can fail before a client is served.
func (s *serving) open(cfg *config.Config) error {
	s.configs = &configs{log: s.log, prepare: s.prepare, profile: s.o.profile, current: cfg}
	s.closers = append(s.closers, s.configs.close)
	o, err := s.configs.options(cfg)
	if err != nil {
		return &exit{exitUsage, fmt.Errorf("%s: %w", cfg.Path, err)}
	}
	gw, err := gateway.New(o)
	if err != nil {
		return &exit{exitUsage, fmt.Errorf("%s: %w", cfg.Path, err)}
	}
	s.gw, s.configs.gw = gw, gw
	s.closers = append(s.closers, func() { _ = gw.Close() })
	s.sigs, s.drain = make(chan os.Signal, 4), make(chan struct{}, 1)
	signal.Notify(s.sigs, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	s.closers = append(s.closers, func() { signal.Stop(s.sigs) })
	if !s.o.stdio {
		if err := s.listen(cfg); err != nil {
			return err
		}
	}
	return s.openAdmin(cfg)
}

// prepare fills in what the file does not say.
func (s *serving) prepare(o *gateway.Options) {
	o.Logger = s.log
	o.Events = s.feed.Events()
}

func (s *serving) listen(cfg *config.Config) error {
	addr := defaultListen
	if cfg.Listen != "" {
		addr = cfg.Listen
	}
	if s.o.listen != "" {
		addr = s.o.listen
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return &exit{exitFound, fmt.Errorf("the address %s is in use: choose another with --listen", addr)}
		}
		return &exit{exitUsage, fmt.Errorf("listening on %q: %w", addr, err)}
	}
	s.listener = l
	s.closers = append(s.closers, func() { _ = l.Close() })
	tcp := l.Addr().(*net.TCPAddr)
	host := tcp.IP.String()
	if tcp.IP.IsUnspecified() {
		host = "localhost"
	}
	s.url = fmt.Sprintf("http://%s/mcp", net.JoinHostPort(host, fmt.Sprint(tcp.Port)))
	if !tcp.IP.IsLoopback() && cfg.Options.Authenticator == nil {
		s.log.Warn("without auth in the configuration only clients on this machine are served", "listen", l.Addr().String())
	}
	return nil
}

func (s *serving) openAdmin(cfg *config.Config) error {
	switch {
	case cfg.Admin.Disabled:
		return nil
	case cfg.State == "":
		s.log.Warn("no admin socket: neither state in the configuration, XDG_STATE_HOME nor HOME names a folder")
		return nil
	}
	l, err := admin.Listen(cfg.State, s.gw.Status().ID)
	if err != nil {
		return &exit{exitUsage, err}
	}
	h := admin.New(s.gw, admin.AllowAll, &admin.Options{
		Feed:     s.feed,
		Reload:   s.configs.reload,
		Drain:    s.askToDrain,
		Describe: s.describe,
		Audit:    s.audit,
	})
	s.admin = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.admin.Serve(l)
	}()
	s.closers = append(s.closers, func() {
		_ = s.admin.Close()
		_ = l.Close()
		<-done
	})
	return nil
}

// close undoes open, the last first.
func (s *serving) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
}

func (s *serving) askToDrain() {
	select {
	case s.drain <- struct{}{}:
	default:
	}
}

// ready tells where the gateway is.
func (s *serving) ready() {
	n := len(s.gw.Status().Servers)
	if s.o.log.format == "json" {
		s.log.Info("ready", "url", s.url, "servers", n, "version", thisBuild().Version)
		return
	}
	where := s.url
	if s.o.stdio {
		where = "standard input and output"
	}
	servers := fmt.Sprintf("%d servers", n)
	if n == 1 {
		servers = "1 server"
	}
	fmt.Fprintf(s.app.err, "gatehouse: serving %s on %s\n", servers, where)
}

// unconfined warns of plain commands.
func (s *serving) unconfined() {
	served := make(map[string]bool)
	for _, srv := range s.gw.Status().Servers {
		served[srv.Name] = true
	}
	for _, srv := range s.configs.now().Servers {
		if srv.Confined == "no" && served[srv.Name] {
			s.log.Warn("this server is a plain process that nothing confines", "server", srv.Name, "confined", "no")
		}
	}
}
