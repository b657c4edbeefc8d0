package containerd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/transport"
)

const killSignal = unix.SIGKILL

// connect makes the connection to the server, which speaks later.
func (i *instance) connect() error {
	if i.spec.Port == 0 {
		o := &transport.StreamOptions{Limits: transport.Limits{Body: int64(i.spec.MaxLine)}}
		if f := i.r.o.OnGarbage; f != nil {
			o.OnGarbage = func([]byte) { f(i.spec.Name) }
		}
		i.conn = transport.NewStream(i.pipes.out, i.pipes.in, o)
		return nil
	}
	// Only this server is at the other end, whatever a request says.
	rt := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return i.ns.Dial(ctx, "tcp", i.address())
		},
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
	}
	at := i.spec.Path
	if at == "" {
		at = "/mcp"
	}
	c, err := transport.NewHTTPClient("http://"+i.address()+path.Clean(at), &transport.HTTPClientOptions{
		RoundTripper: rt, DisableSSE: true, Reply: int64(i.spec.MaxLine),
	})
	if err != nil {
		return err
	}
	i.conn = idle{c, rt}
	return nil
}

func (i *instance) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(i.spec.Port)) }

// idle closes the connections of its client as well.
type idle struct {
	*transport.HTTPClient
	rt *http.Transport
}

// Close implements [transport.Conn].
func (c idle) Close() error {
	err := c.HTTPClient.Close()
	c.rt.CloseIdleConnections()
	return err
}

// awaitPort returns when the server listens.
func (i *instance) awaitPort(ctx context.Context) error {
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		c, err := i.ns.Dial(ctx, "tcp", i.address())
		if err == nil {
			return c.Close()
		}
		if !errors.Is(err, unix.ECONNREFUSED) && ctx.Err() == nil {
			return fmt.Errorf("connecting to its port %d: %w", i.spec.Port, err)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case e := <-i.exit:
			t.Stop()
			return fmt.Errorf("it ended before it listened on port %d: %s", i.spec.Port, e)
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("it does not listen on port %d of 127.0.0.1: %w", i.spec.Port, ctx.Err())
		}
	}
}
