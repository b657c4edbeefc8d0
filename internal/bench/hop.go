package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// hopRole is the yardstick: a plain [httputil.ReverseProxy] with a large pool
// of idle connections.
//
// It reads the body of a request before it forwards it. With the body
// streamed, some calls whose answer is longer than one read fail: on the first
// byte of the answer the server closes the inbound body while the transport
// still probes it for a byte too many, and the transport then closes the
// connection under the answer.
func hopRole(args []string) (http.Handler, func(), error) {
	if len(args) != 1 {
		return nil, nil, errors.New("role hop needs the origin of the server")
	}
	to, err := url.Parse(args[0])
	if err != nil {
		return nil, nil, err
	}
	transport := &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024, DisableCompression: true}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = to.Host
		},
		Transport: transport,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}), transport.CloseIdleConnections, nil
}
