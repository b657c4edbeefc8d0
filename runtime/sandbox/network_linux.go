package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/netns"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Between two looks whether a server listens on its port.
const (
	firstLook = time.Millisecond
	laterLook = 20 * time.Millisecond
)

// idleConns bounds the unused connections to a server's port.
const idleConns = 64

// attach opens the way out of the server's network, and for us the way in,
// where the Spec has them.
func (i *instance) attach(ctx context.Context, o *order) (err error) {
	allow := i.spec.Network.Allow
	if len(allow) == 0 && i.spec.Port == 0 {
		return nil
	}
	if i.net, err = netns.Open(fmt.Sprintf("/proc/%d/ns/net", i.process.Pid)); err != nil {
		return err
	}
	if len(allow) == 0 {
		return nil
	}
	a := egress.Attachment{Server: i.spec.Name, Allow: allow}
	o.set.Attach(&a)
	i.gate, err = i.r.egress.Attach(ctx, i.net.File(), a)
	if errors.Is(err, egress.ErrUnsupported) {
		err = fmt.Errorf("network.allow %w: %w", runtime.ErrCannotEnforce, err)
	}
	if err != nil {
		return err
	}
	if ca := i.gate.CA(); ca != nil {
		if err := o.trusts(ca); err != nil {
			return err
		}
	}
	for name, v := range i.gate.Env() {
		if _, ok := o.env[name]; !ok {
			o.env[name] = v
		}
	}
	for n, s := range o.Steps {
		if s.Target == resolvConf {
			o.Steps[n].Source = string(i.gate.ResolvConf())
		}
	}
	return nil
}

// detach closes both ways, and lets go of the image.
func (i *instance) detach() {
	if i.image != nil {
		_ = i.image.Close()
	}
	if i.gate != nil {
		_ = i.gate.Close()
	}
	if i.http != nil {
		i.http.CloseIdleConnections()
	}
	if i.net != nil {
		_ = i.net.Close()
	}
}

// Refusals implements [runtime.Refuser].
func (i *instance) Refusals() []runtime.Refusal {
	if i.gate == nil {
		return nil
	}
	return i.gate.Refusals()
}

// client is the connection to a server that listens on a port of its own
// loopback.
func (i *instance) client() (*transport.HTTPClient, error) {
	to := net.JoinHostPort("127.0.0.1", fmt.Sprint(i.spec.Port))
	path := i.spec.Path
	if path == "" {
		path = "/mcp"
	}
	i.http = &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return i.net.Dial(ctx, "tcp", to) },
		MaxIdleConnsPerHost: idleConns, IdleConnTimeout: time.Minute, DisableCompression: true,
	}
	return transport.NewHTTPClient("http://"+to+path, &transport.HTTPClientOptions{
		Reply: int64(i.spec.MaxLine), RoundTripper: i.http,
	})
}

// listens waits until the server takes connections on its port.
func (i *instance) listens(ctx context.Context) error {
	to := net.JoinHostPort("127.0.0.1", fmt.Sprint(i.spec.Port))
	for pause := firstLook; ; pause = min(2*pause, laterLook) {
		c, err := i.net.Dial(ctx, "tcp", to)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server does not listen on port %d of its loopback: %w", i.spec.Port, ctx.Err())
		case e := <-i.exit: // nobody else has it yet
			return fmt.Errorf("the server ended before it listened on port %d: %s", i.spec.Port, e)
		case <-time.After(pause):
		}
	}
}
