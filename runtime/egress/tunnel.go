package egress

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// buffers are for copying.
var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// tunnel carries bytes both ways between a client and a target, and ends
// both. had is what the client has sent already. The first words of the
// client are looked at before they are passed on; those of the target pass at
// once. When the first words are those of HTTP, every request is looked at.
func (g *Gate) tunnel(protocol string, t target, client *conn, had []byte, up *conn) {
	var (
		wg    sync.WaitGroup
		a     = newAnswer()
		taken atomic.Bool // up is for requests now
		over  bool        // the target has ended its side
	)
	cut := func() { client.reset(); up.reset() }
	said, heard := client.read.Load()-int64(len(had)), client.written.Load()
	wg.Go(func() {
		err := pump(client, seeing{up, a})
		a.end()
		if over = err == nil; !over && !taken.Load() {
			cut()
		}
	})
	o, err := g.send(protocol, t, client, had, up, a)
	if err == nil && o.speech == httpRequest {
		taken.Store(true)
		_ = up.SetReadDeadline(time.Unix(1, 0))
		wg.Wait()
		if up.read.Load() == 0 && !over {
			_ = up.SetReadDeadline(time.Time{})
			g.requests(route{protocol: protocol, t: t}, client, o, up)
			g.ended(protocol, t, client.read.Load()-said, client.written.Load()-heard)
			return
		}
		err = errEarlyAnswer
	}
	if err != nil {
		cut()
	}
	wg.Wait()
	_ = client.Close()
	_ = up.Close()
	g.ended(protocol, t, up.written.Load(), up.read.Load())
}

var errEarlyAnswer = errors.New("the target has answered an HTTP request before it came")

// send passes on what the client sends, until its end. An opening of HTTP that
// was found fine is not passed on but returned.
func (g *Gate) send(protocol string, t target, client *conn, had []byte, up *conn, a *answer) (o opening, err error) {
	if t.named() {
		r := openingReader{c: client, had: had, timeout: g.p.o.HelloTimeout}
		r.early = func(b []byte) error {
			_, err := up.Write(b)
			return err
		}
		o, err = r.read()
		if err != nil {
			return o, err
		}
		if r := o.judge(t); r != nil {
			return o, g.refuse(protocol, t.String(), r)
		}
		switch o.speech {
		case httpRequest:
			return o, nil
		case tlsHello:
			return o, g.sendRecords(protocol, t, client, o.data, up, a)
		}
		had = o.data[o.early:]
	}
	if len(had) > 0 {
		if _, err := up.Write(had); err != nil {
			return o, err
		}
	}
	return o, pump(up, client)
}

// pump copies until the source ends, then ends the sink.
func pump(to *conn, from io.Reader) error {
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
