package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// RoundTripperOptions configures [NewRoundTripper]. The zero value is useful.
type RoundTripperOptions struct {
	TLS   *tls.Config                           // of https; nil: the system's roots
	Proxy func(*http.Request) (*url.URL, error) // nil: none; the environment is not read

	// HeaderTimeout bounds the wait for the header of an answer; 0: no bound
	// but the request's context.
	HeaderTimeout time.Duration

	// DialTimeout bounds the time to connect [10 s], IdleTimeout how long an
	// unused connection is kept [90 s], Idle how many of them to one host
	// [256].
	DialTimeout time.Duration
	IdleTimeout time.Duration
	Idle        int
}

// Defaults of [RoundTripperOptions], and bounds that are no options.
const (
	defaultDial       = 10 * time.Second
	defaultIdle       = 90 * time.Second
	defaultIdleConns  = 256
	maxResponseHeader = 256 << 10
)

// NewRoundTripper returns what carries the requests of an [HTTPClient]: many
// idle connections to a host, no bound on how long an answer takes, HTTP/2 for
// https, and for plain HTTP/1.1 connections that the calling goroutine itself
// writes and reads. Clients of one server share one. Its method CloseIdleConnections
// closes what is not in use.
func NewRoundTripper(o *RoundTripperOptions) http.RoundTripper {
	if o == nil {
		o = &RoundTripperOptions{}
	}
	p := *o
	if p.DialTimeout <= 0 {
		p.DialTimeout = defaultDial
	}
	if p.IdleTimeout <= 0 {
		p.IdleTimeout = defaultIdle
	}
	if p.Idle <= 0 {
		p.Idle = defaultIdleConns
	}
	d := &net.Dialer{Timeout: p.DialTimeout, KeepAlive: 30 * time.Second}
	t := &http.Transport{
		Proxy:                  p.Proxy,
		DialContext:            d.DialContext,
		TLSHandshakeTimeout:    p.DialTimeout,
		MaxIdleConnsPerHost:    p.Idle,
		IdleConnTimeout:        p.IdleTimeout,
		ResponseHeaderTimeout:  p.HeaderTimeout,
		MaxResponseHeaderBytes: maxResponseHeader,
		DisableCompression:     true, // the bounds count what travels, and events are not held back
		ForceAttemptHTTP2:      true,
	}
	if p.TLS != nil {
		t.TLSClientConfig = p.TLS.Clone()
	}
	if p.Proxy != nil {
		return t
	}
	return &roundTripper{
		full: t,
		lean: &leanTripper{dial: d.DialContext, header: p.HeaderTimeout, keep: p.IdleTimeout, perHost: p.Idle, now: time.Now},
	}
}

// roundTripper sends plain HTTP on its own lean way and the rest through
// net/http.
type roundTripper struct {
	full   *http.Transport
	lean   *leanTripper
	bodies sync.Pool // of *[]byte, for the requests that go the lean way

	replies sync.Pool // of *lent
}

// RoundTrip implements http.RoundTripper.
func (r *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.lean.fits(req) {
		return r.lean.RoundTrip(req)
	}
	return r.full.RoundTrip(req)
}

// CloseIdleConnections closes what is not in use.
func (r *roundTripper) CloseIdleConnections() {
	r.full.CloseIdleConnections()
	r.lean.CloseIdleConnections()
}

// closeIdle closes the idle connections of a round tripper that can.
func closeIdle(rt http.RoundTripper) {
	if c, ok := rt.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// maybeSent reports whether a request that failed with err may have reached
// the server: always, unless the connection was never made.
func maybeSent(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect") {
		return false
	}
	var (
		dns  *net.DNSError
		cert *tls.CertificateVerificationError
		rec  tls.RecordHeaderError
		auth x509.UnknownAuthorityError
		host x509.HostnameError
		inv  x509.CertificateInvalidError
	)
	return !(errors.As(err, &dns) || errors.As(err, &cert) || errors.As(err, &rec) ||
		errors.As(err, &auth) || errors.As(err, &host) || errors.As(err, &inv))
}
