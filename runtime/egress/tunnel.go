package egress

import (
	"errors"
	"io"
	"sync"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// buffers are for copying.
var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// tunnel carries bytes both ways between a client and a target, and ends
// both. had is what the client has sent already. The first words of the
// client are looked at before they are passed on; those of the target pass at
// once.
func (g *Gate) tunnel(protocol string, t target, client *conn, had []byte, up *conn) {
	cut := func() { client.reset(); up.reset() }
	var wg sync.WaitGroup
	wg.Go(func() {
		if pump(client, up) != nil {
			cut()
		}
	})
	if err := g.send(protocol, t, client, had, up); err != nil {
		cut()
	}
	wg.Wait()
	_ = client.Close()
	_ = up.Close()
	g.ended(protocol, t, up.written.Load(), up.read.Load())
}

// send passes on what the client sends.
func (g *Gate) send(protocol string, t target, client *conn, had []byte, up *conn) error {
	if t.named() {
		r := openingReader{c: client, had: had, timeout: g.p.o.HelloTimeout}
		r.early = func(b []byte) error {
			_, err := up.Write(b)
			return err
		}
		o, err := r.read()
		if err != nil {
			return err
		}
		if r := o.judge(t); r != nil {
			return g.refuse(protocol, t.String(), r)
		}
		had = o.data[o.early:]
	}
	if len(had) > 0 {
		if _, err := up.Write(had); err != nil {
			return err
		}
	}
	return pump(up, client)
}

// pump copies until the source ends, then ends the sink.
func pump(to, from *conn) error {
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	// The types are hidden, else io would copy with buffers of its own.
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, *b)
	if err != nil {
		return err
	}
	if err := to.CloseWrite(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

func (g *Gate) ended(protocol string, t target, sent, received int64) {
	g.tell(runtime.Connection{
		Target: t.String(), Protocol: protocol, Allowed: true, Ended: true, Sent: sent, Received: received,
	})
}
