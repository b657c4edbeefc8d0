package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	goruntime "runtime"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	plain "github.com/gatehouse-mcp/gatehouse/runtime/process"
	"github.com/gatehouse-mcp/gatehouse/runtime/remote"
)

// gatewayRole is a gateway before one server: at a URL, or, for "stdio" and
// "stdio-session", a process of this binary, shared or one for each session.
// The second argument is the path: empty, baseline or ten.
func gatewayRole(args []string) (http.Handler, func(), error) {
	if len(args) != 2 {
		return nil, nil, errors.New("role gateway needs the server and the path")
	}
	s := gateway.Server{Name: "bench", Instance: gateway.Shared}
	switch args[0] {
	case "stdio", "stdio-session":
		self, err := os.Executable()
		if err != nil {
			return nil, nil, err
		}
		s.Launcher = runtime.Of(plain.New(nil), runtime.Spec{Command: []string{self, roleArg, "stdio"}, Unconfined: true})
		if args[0] == "stdio-session" {
			s.Instance = gateway.PerSession
		}
	default:
		s.Launcher = remote.New(args[0], nil)
	}
	o := &gateway.Options{Servers: []gateway.Server{s}}
	switch path(args[1]) {
	case empty:
		o.WithoutBaseline = true
	case baseline:
	case ten:
		o.Interceptors = tenInterceptors()
	default:
		return nil, nil, fmt.Errorf("no gateway is on the path %s", args[1])
	}
	gw, err := gateway.New(o)
	if err != nil {
		return nil, nil, err
	}
	return gw, func() { _ = gw.Close() }, nil
}

// timed measures f for about the given time.
func timed(span time.Duration, f func() error) cost {
	var before, after goruntime.MemStats
	for n := 1; ; n *= 2 {
		goruntime.ReadMemStats(&before)
		began := time.Now()
		for range n {
			if err := f(); err != nil {
				panic(err) // an interceptor of the bench denies what it must pass
			}
		}
		took := time.Since(began)
		if took < span && n < 1<<30 {
			continue
		}
		goruntime.ReadMemStats(&after)
		return cost{
			Kind: "interceptor", Nanos: figure(float64(took.Nanoseconds()) / float64(n)),
			Bytes:  int64(after.TotalAlloc-before.TotalAlloc) / int64(n),
			Allocs: int64(after.Mallocs-before.Mallocs) / int64(n),
		}
	}
}
