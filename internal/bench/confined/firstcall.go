//go:build e2e && linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// firstCall is the first call of a session, through a gateway that has an
// instance ready for it, and through one that has not.
type firstCall struct {
	warm, cold series // ms
}

// kept is how many instances the gateway keeps ready.
const kept = 2

func (b *bench) measureFirstCalls(ctx context.Context) error {
	b.calls = map[string]*firstCall{}
	var doors []*door
	defer func() {
		for _, d := range doors {
			d.close()
		}
	}()
	for _, w := range b.only(asProcess, asSandbox, inRunc) {
		c := &firstCall{}
		b.calls[w.name] = c
		for _, d := range []*door{{way: w, into: &c.warm, kept: kept}, {way: w, into: &c.cold}} {
			doors = append(doors, d)
			if err := d.open(); err != nil {
				return err
			}
		}
	}
	for round := range b.o.rounds {
		b.progress("first calls", round, b.o.rounds)
		for i := range doors {
			d := doors[(round+i)%len(doors)]
			took, err := d.firstCall(ctx)
			if err != nil {
				return fmt.Errorf("first call through a gateway, %s: %w", d.way.name, err)
			}
			*d.into = append(*d.into, millis(took))
		}
	}
	return nil
}

// door is a gateway before one way to start the server.
type door struct {
	way  *way
	kept int
	into *series

	gw     *gateway.Gateway
	http   *http.Server
	served chan struct{}
	url    string
	client *http.Client
}

func (d *door) open() (err error) {
	d.gw, err = gateway.New(&gateway.Options{Servers: []gateway.Server{
		{Name: "cell", Launcher: runtime.Of(d.way.rt, d.way.spec), Warm: d.kept},
	}})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.url = "http://" + l.Addr().String() + "/mcp"
	d.http, d.served = &http.Server{Handler: d.gw}, make(chan struct{})
	d.client = &http.Client{Timeout: patience, Transport: &http.Transport{}}
	go func() {
		defer close(d.served)
		_ = d.http.Serve(l)
	}()
	return nil
}

func (d *door) close() {
	if d.http != nil {
		_ = d.http.Close()
		<-d.served
		d.client.CloseIdleConnections()
	}
	if d.gw != nil {
		_ = d.gw.Close()
	}
}

// settle waits until the instances that are to be ready are, and no other is
// there.
func (d *door) settle(ctx context.Context) error {
	for begin := time.Now(); ; {
		s := d.gw.Status().Servers[0]
		if s.Warm == d.kept && len(s.Instances) == 0 {
			return nil
		}
		if time.Since(begin) > patience {
			return fmt.Errorf("after %v there are %d warm instances, not %d, and %d others; the last error: %s", patience, s.Warm, d.kept, len(s.Instances), s.Error)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// firstCall opens a session and times its first call.
func (d *door) firstCall(ctx context.Context) (took time.Duration, err error) {
	if err := d.settle(ctx); err != nil {
		return 0, err
	}
	_, id, err := d.post(ctx, "", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":`+handshake+`}`)
	if err != nil {
		return 0, err
	}
	defer func() {
		req, e := http.NewRequestWithContext(ctx, http.MethodDelete, d.url, nil)
		if e == nil {
			_, _, e = d.do(req, id)
		}
		err = errors.Join(err, e, d.settle(ctx)) // else the next one pays for it
	}()
	if _, _, err := d.post(ctx, id, `{"jsonrpc":"2.0","method":"notifications/initialized"}`); err != nil {
		return 0, err
	}
	begin := time.Now()
	reply, _, err := d.post(ctx, id, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"cell__pid","arguments":{}}}`)
	if err != nil {
		return 0, err
	}
	took = time.Since(begin)
	if !bytes.Contains(reply, []byte(" since ")) {
		return 0, fmt.Errorf("the tool says %.300s", reply)
	}
	return took, nil
}

func (d *door) post(ctx context.Context, session, body string) (reply []byte, id string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	return d.do(req, session)
}

func (d *door) do(req *http.Request, session string) (reply []byte, id string, err error) {
	if session != "" {
		req.Header.Set("Mcp-Session-Id", session)
		req.Header.Set("Mcp-Protocol-Version", "2025-11-25")
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %.300s", resp.Status, b)
	}
	return b, resp.Header.Get("Mcp-Session-Id"), err
}
