package egress

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// A server of TLS 1.3 may ask for a second hello (HelloRetryRequest, RFC 8446,
// section 4.1.4), and some heed the name in that one. So the client is watched
// until the server has answered.

// helloRetry is the random of a server hello that asks for another one (RFC
// 8446, section 4.1.3).
const helloRetry = "\xCF\x21\xAD\x74\xE5\x9A\x61\x11\xBE\x1D\x8C\x02\x1E\x65\xB8\x91\xC2\xA2\x11\x16\x7A\xBB\x8C\x5E\x07\x9E\x09\xE2\xC8\xA8\x33\x9C"

// maxAnswer bounds what is read of a server until its first message is known.
const maxAnswer = 4096

// answer finds out of what a server says first whether a client may say a
// second hello. One goroutine sees, others ask.
type answer struct {
	mu    sync.Mutex
	buf   []byte
	known chan struct{} // closed once it is
	final bool          // no second hello
}

func newAnswer() *answer { return &answer{known: make(chan struct{})} }

// see is told what the server has sent.
func (a *answer) see(b []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.settled() {
		return
	}
	a.buf = append(a.buf, b[:min(len(b), maxAnswer-len(a.buf))]...)
	final, ok := finalHello(a.buf)
	if !ok && len(a.buf) < maxAnswer {
		return
	}
	a.final, a.buf = final, nil
	close(a.known)
}

// end is told that the server says no more.
func (a *answer) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.settled() {
		close(a.known)
	}
}

func (a *answer) settled() bool {
	select {
	case <-a.known:
		return true
	default:
		return false
	}
}

// over reports whether there will be no second hello for sure.
func (a *answer) over() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.final
}

// wait waits until it is known.
func (a *answer) wait(ctx context.Context, timeout time.Duration) error {
	t := time.NewTimer(timeout)
	defer t.Stop()
	select {
	case <-a.known:
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return fmt.Errorf("the target did not answer its TLS hello within %v", timeout)
	}
	return nil
}

// finalHello reports whether b begins with a server hello that asks for no
// second one; alerts may stand before it. ok is false while it cannot be told.
// What is anything else may ask for one.
func finalHello(b []byte) (final, ok bool) {
	const upToRandom = 4 + 2 + len(helloRetry)
	var msg []byte
	for {
		if len(msg) > 0 && msg[0] != 2 {
			return false, true
		}
		if len(msg) >= upToRandom {
			return string(msg[4+2:upToRandom]) != helloRetry, true
		}
		if len(b) < recordHeader {
			return false, false
		}
		n := int(binary.BigEndian.Uint16(b[3:]))
		kind := b[0]
		if b[1] != 3 || n == 0 || n > maxRecord || kind != recordHandshake && kind != recordAlert {
			return false, true
		}
		b = b[recordHeader:]
		part := b[:min(n, len(b))]
		if kind == recordHandshake {
			msg = append(msg, part...)
		}
		if len(part) < n && (len(msg) < upToRandom || kind == recordAlert) {
			return false, false
		}
		b = b[len(part):]
	}
}

// seeing tells an answer what is read.
type seeing struct {
	io.Reader
	a *answer
}

// Read implements [io.Reader].
func (s seeing) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	if n > 0 && !s.a.settled() {
		s.a.see(b[:n])
	}
	return n, err
}

// sendRecords passes on what a client of TLS sends, of which had begins with
// its hello, and looks into each hello that follows.
func (g *Gate) sendRecords(protocol string, t target, client *conn, had []byte, up *conn, a *answer) error {
	_, size, err := hello(had)
	if err != nil {
		return err
	}
	if _, err := up.Write(had[:size]); err != nil {
		return err
	}
	br := bufio.NewReader(io.MultiReader(bytes.NewReader(had[size:]), struct{ io.Reader }{client}))
	for !a.over() {
		head, err := br.Peek(recordHeader)
		switch {
		case errors.Is(err, io.EOF):
			return up.CloseWrite()
		case err != nil:
			return err
		}
		if head[0] < recordCipherSpec || head[0] > recordData || head[1] != 3 {
			return g.refuse(protocol, t.String(), &refusal{reason: "what follows its TLS hello is not TLS"})
		}
		if head[0] != recordHandshake {
			n := recordHeader + int64(binary.BigEndian.Uint16(head[3:]))
			if _, err := io.CopyN(up, br, n); errors.Is(err, io.EOF) {
				return up.CloseWrite()
			} else if err != nil {
				return err
			}
			continue
		}
		if err := a.wait(g.ctx, g.p.o.HelloTimeout); g.ctx.Err() != nil {
			return err
		} else if err != nil {
			return g.refuse(protocol, t.String(), &refusal{reason: err.Error()})
		}
		if a.over() {
			break
		}
		second := openingReader{c: buffering{client, br}, timeout: g.p.o.HelloTimeout}
		o, err := second.read()
		if err != nil {
			return err
		}
		if r := o.judge(t); r != nil {
			return g.refuse(protocol, t.String(), r)
		}
		if _, err := up.Write(o.data); err != nil {
			return err
		}
		break // a server asks once
	}
	return pump(up, br)
}

// buffering is a connection of which some was read ahead.
type buffering struct {
	*conn
	r *bufio.Reader
}

func (b buffering) Read(p []byte) (int, error) { return b.r.Read(p) }
