package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Client talks to the admin socket of one gateway. It is safe for concurrent
// use.
type Client struct {
	http *http.Client
}

// NewClient makes a client of the socket at path. It does not connect.
func NewClient(path string) *Client {
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			short, done, err := reach(path)
			if err != nil {
				return nil, err
			}
			defer done()
			return new(net.Dialer).DialContext(ctx, "unix", short)
		},
		ResponseHeaderTimeout: maxReload + 5*time.Second,
		DisableKeepAlives:     true,
	}}}
}

// maxAnswer bounds the body of an answer, in bytes.
const maxAnswer = 64 << 20

// Status asks what the gateway is doing.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	resp, err := c.do(ctx, http.MethodGet, "/v1/status")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	st := new(Status)
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(st); err != nil {
		return nil, fmt.Errorf("reading the status: %w", err)
	}
	return st, nil
}

// Restart stops the instances of a server; its next call starts a new one.
func (c *Client) Restart(ctx context.Context, server string) error {
	return c.post(ctx, "/v1/servers/"+url.PathEscape(server)+"/restart")
}

// Reload has the gateway read its configuration again.
func (c *Client) Reload(ctx context.Context) error { return c.post(ctx, "/v1/reload") }

// Drain begins the end of the gateway.
func (c *Client) Drain(ctx context.Context) error { return c.post(ctx, "/v1/drain") }

// Events calls f for each event until ctx ends, the gateway ends (nil), or f
// returns an error, which Events returns.
func (c *Client) Events(ctx context.Context, f func(Event) error) error {
	resp, err := c.do(ctx, http.MethodGet, "/v1/events")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(resp.Body)
	for {
		var e Event
		if err := dec.Decode(&e); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil
			}
			return fmt.Errorf("reading events: %w", err)
		}
		if err := f(e); err != nil {
			return err
		}
	}
}

func (c *Client) post(ctx context.Context, path string) error {
	resp, err := c.do(ctx, http.MethodPost, path)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// do sends a request and turns an answer that is not 2xx into an error.
func (c *Client) do(ctx context.Context, method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://gateway"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, fmt.Errorf("asking the gateway: %w", err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	var fl failure
	if json.Unmarshal(bytes.TrimSpace(body), &fl) != nil || fl.Error == "" {
		fl.Error = resp.Status
	}
	return nil, errors.New(fl.Error)
}
