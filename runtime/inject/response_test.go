package inject

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// TestEchoes has a bound host give back what it got, in all ways.
func TestEchoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, use(runtime.SecretHost{Host: "api.example"}), runtime.SecretUse{
		Name: "other", Value: secrets.Template("Bearer ${OTHER}"), File: "/run/secrets/other",
		Hosts: []runtime.SecretHost{{Host: "*.wild.example"}},
	})
	p := w.Env()["TOKEN"]
	other := w.Files()[0].Content.Reveal()
	auth := []string{"Authorization", "Bearer " + p}
	for name, encode := range encoders {
		for _, zipped := range []bool{false, true} {
			w.host = func(rw http.ResponseWriter, r *http.Request) {
				got := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
				if got != value || r.Header.Get("Accept-Encoding") != "gzip" || r.Header.Get("Range") != "" {
					t.Errorf("it got %v", r.Header)
				}
				text := encode("<", got, ">") + "\n" + encode("<", "another-secret-one", ">") + "\n" + encode("", "Bearer another-secret-one", "")
				rw.Header().Set("X-Echo", got)
				rw.Header().Set("X-"+got, "1")
				rw.Header().Set("Content-Length", fmt.Sprint(len(text)))
				if !zipped {
					_, _ = io.WriteString(rw, text)
					return
				}
				rw.Header().Set("Content-Encoding", "gzip")
				z := gzip.NewWriter(rw)
				_, _ = io.WriteString(z, text)
				_ = z.Close()
			}
			resp, err := w.do("GET", "https://api.example/", "", append([]string{"Range", "bytes=1-", "Accept-Encoding", "br"}, auth...)...)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.ContentLength != -1 || resp.Header.Get("Content-Length") != "" || resp.Header.Get("Content-Encoding") != "" {
				t.Errorf("the header says %v", resp.Header)
			}
			if strings.Count(string(b), p) != 1 || strings.Count(string(b), other) != 2 || resp.Header.Get("X-Echo") != p {
				t.Errorf("%s: it got %q and %v", name, b, resp.Header)
			}
			if all := fmt.Sprint(resp.Header); strings.Contains(strings.ToLower(all), value) {
				t.Errorf("the header has it: %s", all)
			}
		}
	}
}

// TestStreams: what a host sends bit by bit goes on bit by bit.
func TestStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t, use(runtime.SecretHost{Host: "api.example"}))
	for _, zipped := range []bool{false, true} {
		from, to := io.Pipe()
		resp := &http.Response{
			StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: from,
			Request: httptest.NewRequest("GET", "https://api.example:443/", nil),
		}
		write := func(s string) { _, _ = io.WriteString(to, s) }
		closeAll := to.Close
		if zipped {
			resp.Header.Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(to)
			write = func(s string) { _, _ = io.WriteString(z, s); _ = z.Flush() }
			closeAll = func() error { return errors.Join(z.Close(), to.Close()) }
		}
		if err := w.hook.Response(resp); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1000)
		for _, event := range []string{"data: one\n\n", "data: s3\n\n", ": ping\n\n"} {
			written := make(chan struct{})
			go func() { defer close(written); write(event) }()
			if n, err := resp.Body.Read(b); err != nil || string(b[:n]) != event {
				t.Fatalf("got %q, %v", b[:n], err)
			}
			<-written
		}
		w.v.set("TOKEN", "a-new-value-of-it")
		if got := w.sent("GET", "https://api.example/", "", "Authorization", w.Env()["TOKEN"]); !strings.Contains(got, "a-new-value-of-it") {
			t.Errorf("the rotated secret is not used: %s", got)
		}
		go func() {
			write("data: s3cr3t-va")
			write("lue-of-it and a-new-value-")
			write("of-it")
			resp.Trailer = http.Header{"X-Sum": {value}}
			_ = closeAll()
		}()
		rest, err := io.ReadAll(resp.Body)
		p := w.Env()["TOKEN"]
		if want := "data: " + p + " and " + p; err != nil || string(rest) != want {
			t.Errorf("got %q, %v, want %q", rest, err, want)
		}
		if got := resp.Trailer.Get("X-Sum"); got != p {
			t.Errorf("the trailer is %q", got)
		}
		w.v.set("TOKEN", value)
	}
}

// TestNotSearchable has hosts answer in ways that hide a value.
func TestNotSearchable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, use(runtime.SecretHost{Host: "api.example"}))
	for want, answer := range map[string]http.HandlerFunc{
		"encoded (br)":              func(rw http.ResponseWriter, _ *http.Request) { rw.Header().Set("Content-Encoding", "br") },
		"encoded (gzip, gzip)":      func(rw http.ResponseWriter, _ *http.Request) { rw.Header().Set("Content-Encoding", "gzip, gzip") },
		"Grpc-Encoding says":        func(rw http.ResponseWriter, _ *http.Request) { rw.Header().Set("Grpc-Encoding", "snappy") },
		"a part of a content":       func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusPartialContent) },
		"into another protocol":     func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusSwitchingProtocols) },
		"into another protocol, as": nil,
	} {
		w.host = answer
		header := []string{"Accept", "*/*"}
		if answer == nil {
			want, header = "turn into another protocol", []string{"Upgrade", "websocket"}
		}
		if _, err := w.do("GET", "https://api.example/", "", header...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if answer != nil {
			if _, err := w.do("GET", "http://other.example/", "", header...); err != nil {
				t.Errorf("another host: %v", err)
			}
		}
	}
	// Errors do not give away what a header says.
	for _, name := range []string{"Content-Encoding", "Grpc-Encoding", "Connect-Content-Encoding", "Im"} {
		w.host = func(rw http.ResponseWriter, r *http.Request) {
			rw.Header()[name] = []string{"gzip, " + r.Header.Get("Authorization"), "x"}
		}
		_, err := w.do("GET", "https://api.example/", "", "Authorization", w.Env()["TOKEN"])
		if err == nil || strings.Contains(strings.ToLower(err.Error()), value[:4]) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	// A body that breaks off does not show how far it had come.
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(z, "hello s3cr3t-value")
	_ = z.Flush()
	w.host = func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Encoding", "gzip")
		_, _ = rw.Write(zipped.Bytes())
	}
	resp, err := w.do("GET", "https://api.example/", "")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); err == nil || string(b) != "hello " {
		t.Errorf("got %q, %v", b, err)
	}
}

// TestFrames: a message of gRPC goes on as soon as it is whole, and what is no
// message does not.
func TestFrames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, use(runtime.SecretHost{Host: "api.example"}))
	frame := func(flags byte, s string) string {
		return string(binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(s)))) + s
	}
	from, to := io.Pipe()
	resp := &http.Response{
		StatusCode: 200, Header: http.Header{"Content-Type": {"application/grpc+proto"}}, Body: from,
		Request: httptest.NewRequest("POST", "https://api.example:443/", nil),
	}
	if err := w.hook.Response(resp); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1000)
	for _, whole := range []string{frame(0, "hello"), frame(0, ""), frame(0, "two") + frame(2, "of them")} {
		go func() { _, _ = io.WriteString(to, whole) }()
		if n, err := resp.Body.Read(b); err != nil || string(b[:n]) != whole {
			t.Fatalf("got %q, %v", b[:n], err)
		}
	}
	whole := frame(0, "x"+value+"y")
	go func() {
		_, _ = io.WriteString(to, whole[:3])
		_, _ = io.WriteString(to, whole[3:12])
		_, _ = io.WriteString(to, whole[12:])
		_, _ = io.WriteString(to, value) // none
	}()
	got, err := io.ReadAll(resp.Body)
	if want := whole[:6] + w.Env()["TOKEN"] + "y"; err == nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for _, bad := range []string{frame(1, "zipped"), frame(0x80, "x") + "abcdef", "\x00\x21\x00\x22\x00"} {
		if end, err := new(frames).read([]byte(bad)); err == nil {
			t.Errorf("%q is read, %v", bad, end)
		}
	}
	for kind, want := range map[string]bool{
		"application/grpc": true, "Application/gRPC-Web+proto; x=1": true, "application/connect+json": true,
		"application/grpc-web-text": false, "application/json": false, "application/connection": false,
	} {
		if framed(kind) != want {
			t.Errorf("%s is framed: %v", kind, !want)
		}
	}
}

// TestNamesOfTrailers: a value in a name that a response announces is not shown.
func TestNamesOfTrailers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, use(runtime.SecretHost{Host: "api.example"}))
	for _, method := range []string{"GET", "HEAD"} {
		resp := &http.Response{
			StatusCode: 200, Header: http.Header{"X-" + hex.EncodeToString([]byte(value)): {"1"}}, Body: io.NopCloser(strings.NewReader("x\n")),
			Trailer: http.Header{http.CanonicalHeaderKey("x-" + value): nil, "X-Fine": {value}},
			Request: httptest.NewRequest(method, "https://api.example:443/", nil),
		}
		if err := w.hook.Response(resp); err != nil {
			t.Fatal(err)
		}
		if len(resp.Header) != 0 || len(resp.Trailer) != 1 || resp.Trailer.Get("X-Fine") != w.Env()["TOKEN"] {
			t.Errorf("%s: %v, %v", method, resp.Header, resp.Trailer)
		}
	}
}
