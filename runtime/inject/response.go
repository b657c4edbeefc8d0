package inject

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// chunk is how much of a body is read at a time.
const chunk = 16 << 10

// response takes values out of the answers of hosts that secrets are bound to.
func (s *Set) response(resp *http.Response) error {
	host, _ := target(resp.Request)
	watched := false
	for _, b := range s.bound {
		watched = watched || b.at(host)
	}
	if !watched {
		return nil
	}
	switch resp.StatusCode {
	case http.StatusSwitchingProtocols:
		return errors.New("it turns the connection into another protocol, which cannot be searched for the secrets that are bound to this host")
	case http.StatusPartialContent:
		return errors.New("it is a part of a content that nobody asked for in parts, and cannot be searched for the secrets that are bound to this host")
	}
	encoded, err := encodings(resp.Header)
	if err != nil {
		return err
	}
	m := s.matcher.Load()
	framed := framed(resp.Header.Get("Content-Type"))
	cleanHeader(m, resp.Header)
	cleanHeader(m, resp.Trailer) // the names that were announced
	if resp.Body == nil || resp.Body == http.NoBody || resp.Request.Method == http.MethodHead {
		return nil
	}
	body := &cleanBody{s: s, resp: resp, from: resp.Body}
	if framed {
		body.frames = &frames{}
	}
	if encoded {
		body.zipped = true
		resp.Header.Del("Content-Encoding")
	}
	resp.Header.Del("Content-Length")
	resp.Header.Del("Accept-Ranges")
	resp.ContentLength, resp.Body = -1, body
	return nil
}

// codings are those of HTTP that are named in errors. Others are a target's own
// words, which could be a value.
var codings = []string{"br", "compress", "dcb", "dcz", "deflate", "gzip", "x-compress", "x-gzip", "zstd"}

// encodings reports whether a body is in gzip. What cannot be read here is an
// error.
func encodings(h http.Header) (zipped bool, err error) {
	var all []string
	for _, v := range h["Content-Encoding"] {
		for word := range strings.SplitSeq(v, ",") {
			if word = strings.ToLower(strings.TrimSpace(word)); word != "" && word != "identity" {
				all = append(all, word)
			}
		}
	}
	for _, name := range []string{"Grpc-Encoding", "Connect-Content-Encoding", "Im"} {
		for _, v := range h[name] {
			if v != "" && v != "identity" {
				return false, fmt.Errorf("its header %s says that its content is encoded, which cannot be searched for the secrets that are bound to this host", name)
			}
		}
	}
	switch {
	case len(all) == 0:
		return false, nil
	case len(all) == 1 && (all[0] == "gzip" || all[0] == "x-gzip"):
		return true, nil
	}
	for i, word := range all {
		if !slices.Contains(codings, word) {
			all[i] = "another"
		}
	}
	return false, fmt.Errorf("its content is encoded (%.80s), which was not asked for, and cannot be searched for the secrets that are bound to this host", strings.Join(all, ", "))
}

// cleanHeader puts placeholders into header fields. A field with a value in
// its name is taken out.
func cleanHeader(m *matcher, h http.Header) {
	for name, all := range h {
		if m.holds(name) {
			delete(h, name)
			continue
		}
		for i, v := range all {
			all[i] = m.text(v)
		}
	}
}

// cleanBody is a body without the values.
type cleanBody struct {
	s      *Set
	resp   *http.Response
	from   io.ReadCloser
	zipped bool
	zip    *gzip.Reader // once its header was read
	frames *frames      // of gRPC; nil for other bodies
	room   []byte
	rest   []byte // what may be the beginning of a value
	buf    []byte // the room of out
	out    []byte // what is to be passed on
	err    error
}

// Read implements [io.Reader].
func (b *cleanBody) Read(p []byte) (int, error) {
	for len(b.out) == 0 && b.err == nil {
		b.fill()
	}
	n := copy(p, b.out)
	b.out = b.out[n:]
	if n == 0 && len(p) > 0 {
		return 0, b.err
	}
	return n, nil
}

// fill reads some and cleans it. What was held back when the body breaks off is
// dropped.
func (b *cleanBody) fill() {
	if b.room == nil {
		b.room = make([]byte, chunk)
	}
	n, err := b.read(b.room)
	if errors.Is(err, io.ErrUnexpectedEOF) || err != nil && !errors.Is(err, io.EOF) {
		err = errors.New("the response broke off") // the words are another's
	}
	whole := err == io.EOF
	if b.frames != nil && (err == nil || whole) {
		end, bad := b.frames.read(b.room[:n])
		if bad != nil {
			n, err, whole = 0, bad, false
		}
		whole = whole || end // no value goes on behind a frame
	}
	b.err = err
	in := append(b.rest, b.room[:n]...)
	// The newest, since this body may have begun long ago.
	out, used := b.s.matcher.Load().clean(b.buf[:0], in, whole)
	b.buf, b.out, b.rest = out, out, append(b.rest[:0], in[used:]...)
	if err == io.EOF {
		cleanHeader(b.s.matcher.Load(), b.resp.Trailer)
	}
}

func (b *cleanBody) read(p []byte) (n int, err error) {
	if !b.zipped {
		return b.from.Read(p)
	}
	if b.zip == nil {
		if b.zip, err = gzip.NewReader(b.from); err != nil {
			return 0, err
		}
	}
	return b.zip.Read(p)
}

// Close implements [io.Closer].
func (b *cleanBody) Close() error { return b.from.Close() }
