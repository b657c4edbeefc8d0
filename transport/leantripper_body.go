package transport

import (
	"errors"
	"io"
	"net/http"
)

// lengthBody is a body of known length.
type lengthBody struct {
	x    *leanExchange
	left int64
}

func (b *lengthBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	if b.x.over {
		return 0, errBodyClosed
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.x.c.br.Read(p)
	b.left -= int64(n)
	switch {
	case b.left == 0:
		b.x.release()
		return n, io.EOF
	case err != nil:
		return n, b.x.fault(err)
	}
	return n, nil
}

// Close implements io.Closer. A body that was not read to its end costs the
// connection.
func (b *lengthBody) Close() error { b.x.drop(); return nil }

// openBody is a body that ends with the connection.
type openBody struct {
	x    *leanExchange
	done bool
}

func (b *openBody) Read(p []byte) (int, error) {
	switch {
	case b.done:
		return 0, io.EOF
	case b.x.over:
		return 0, errBodyClosed
	}
	n, err := b.x.c.br.Read(p)
	if err == io.EOF {
		b.done = true
		b.x.release()
		return n, err
	}
	if err != nil {
		err = b.x.fault(err)
	}
	return n, err
}

// Close implements io.Closer.
func (b *openBody) Close() error { b.x.drop(); return nil }

// chunkedBody is a body in chunks (RFC 9112, section 7.1).
type chunkedBody struct {
	x     *leanExchange
	left  int64 // of the chunk
	begun bool  // a chunk was read, whose line end is still to come
	done  bool
}

// maxChunkLine bounds a line with the size of a chunk and its extensions, and
// all trailers together.
const maxChunkLine = 4 << 10

func (b *chunkedBody) Read(p []byte) (int, error) {
	switch {
	case b.done:
		return 0, io.EOF
	case b.x.over:
		return 0, errBodyClosed
	case len(p) == 0:
		return 0, nil
	}
	if b.left == 0 {
		if err := b.next(); err != nil {
			return 0, b.x.fault(err)
		}
		if b.done {
			return 0, io.EOF
		}
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.x.c.br.Read(p)
	b.left -= int64(n)
	if err != nil {
		return n, b.x.fault(err)
	}
	if b.left == 0 {
		b.AtEnd() // the end often comes with the last chunk
	}
	return n, nil
}

// next reads the size of the next chunk; after the last one, the trailers.
func (b *chunkedBody) next() error {
	br := b.x.c.br
	if b.begun {
		var crlf [2]byte
		if _, err := io.ReadFull(br, crlf[:]); err != nil {
			return unexpected(err)
		}
		if crlf != [2]byte{'\r', '\n'} {
			return errors.New("a chunk of the answer does not end where it should")
		}
	}
	line, err := b.line(maxChunkLine)
	if err != nil {
		return err
	}
	size, digits := int64(0), 0
	for ; digits < len(line); digits++ {
		v := hexValue(line[digits])
		if v < 0 {
			break
		}
		if digits == 15 {
			return errors.New("a chunk of the answer is too large")
		}
		size = size<<4 | int64(v)
	}
	if rest := trimSpace(line[digits:]); digits == 0 || len(rest) > 0 && rest[0] != ';' {
		return errors.New("a chunk of the answer has a malformed size")
	}
	b.begun, b.left = true, size
	if size > 0 {
		return nil
	}
	trailers := leanHeader{length: -1, header: make(http.Header)} // checked, not used
	for budget := maxChunkLine; ; {
		line, err := b.line(budget)
		if err != nil {
			return err
		}
		if budget -= len(line); len(line) == 0 {
			break
		}
		if err := trailers.field(line); err != nil {
			return err
		}
	}
	b.end()
	return nil
}

func (b *chunkedBody) line(limit int) ([]byte, error) {
	line, err := b.x.c.br.ReadSlice('\n')
	switch n := len(line); {
	case err != nil && n >= leanBuffer, n > limit:
		return nil, errors.New("a line between the chunks of the answer is too long")
	case err != nil:
		return nil, unexpected(err)
	case n < 2 || line[n-2] != '\r':
		return nil, errors.New("a line between the chunks of the answer does not end with CR LF")
	default:
		return line[:n-2], nil
	}
}

func (b *chunkedBody) end() {
	b.done = true
	b.x.release()
}

// AtEnd reports whether the body is at its end, as far as that can be told
// without waiting.
func (b *chunkedBody) AtEnd() bool {
	if b.done {
		return true
	}
	if b.x.over || b.left > 0 || !b.begun {
		return false
	}
	const last = "\r\n0\r\n\r\n"
	br := b.x.c.br
	if br.Buffered() != len(last) {
		return false
	}
	if p, err := br.Peek(len(last)); err != nil || string(p) != last {
		return false
	}
	_, _ = br.Discard(len(last))
	b.end()
	return true
}

// Close implements io.Closer.
func (b *chunkedBody) Close() error { b.x.drop(); return nil }

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

var errBodyClosed = errors.New("the body of the answer was closed")

// fault ends an exchange whose body could not be read.
func (x *leanExchange) fault(err error) error {
	err = unexpected(err)
	if cause := x.ctx.Err(); cause != nil {
		err = cause
	}
	x.drop()
	return err
}
