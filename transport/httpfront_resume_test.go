package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func numbered(n int) *Message {
	return &Message{Method: "notifications/x", Params: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))}
}

// TestHTTPResumesCall: a client whose connection broke in the middle of a call
// gets the rest of it, once.
func TestHTTPResumesCall(t *testing.T) {
	t.Parallel()
	step := make(chan struct{})
	host := &testHost{session: func(ctx context.Context, c Conn, m *Message) (*Message, error) {
		for i := range 10 {
			<-step
			if err := c.Notify(ctx, numbered(i)); err != nil {
				return nil, err
			}
		}
		return &Message{Result: json.RawMessage(`{"done":1}`)}, nil
	}}
	f := newTestFront(t, host, nil)
	h := f.open("2025-11-25")
	go func() {
		for range 5 {
			step <- struct{}{}
		}
	}()
	s := f.stream(http.MethodPost, `{"jsonrpc":"2.0","id":5,"method":"tools/call"}`, h...)
	var ids []string
	for i := range 5 {
		ids = append(ids, s.next(fmt.Sprintf(`{"n":%d}`, i)).ID)
	}
	s.close()
	for range 3 { // while nobody is there
		step <- struct{}{}
	}
	// From the middle, and once more from there: each gets the same.
	for range 2 {
		s = f.stream(http.MethodGet, "", append([]string{"Last-Event-ID", ids[2]}, h...)...)
		for i := 3; i < 7; i++ {
			s.next(fmt.Sprintf(`{"n":%d}`, i))
		}
		if s.events.LastID() == ids[4] {
			t.Error("an id stands for two events")
		}
		s.close()
	}
	step <- struct{}{}
	step <- struct{}{}
	s = f.stream(http.MethodGet, "", append([]string{"Last-Event-ID", ids[4]}, h...)...)
	for i := 5; i < 10; i++ {
		s.next(fmt.Sprintf(`{"n":%d}`, i))
	}
	last := s.next(`{"jsonrpc":"2.0","id":5,"result":{"done":1}}`)
	s.end()
	// It is all over, which tells a client to stop asking.
	if a := f.do(f.request(t.Context(), http.MethodGet, "", append([]string{"Last-Event-ID", last.ID}, h...)...)); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	s = f.stream(http.MethodGet, "", append([]string{"Last-Event-ID", ids[4]}, h...)...)
	for i := 5; i < 10; i++ {
		s.next(fmt.Sprintf(`{"n":%d}`, i))
	}
	s.next(`"id":5`)
	s.end()
}

// TestHTTPResumesFromTheStart: the first event carries an id, so that a
// connection that breaks before the first message can be followed too. Older
// clients do not expect it.
func TestHTTPResumesFromTheStart(t *testing.T) {
	t.Parallel()
	f := newTestFront(t, nil, nil)
	h := f.open("2025-11-25")
	s := f.stream(http.MethodGet, "", h...)
	e, err := s.events.Next()
	if err != nil || e.ID == "" || e.Retry != 1000 || len(e.Data) != 0 {
		t.Fatalf("%+v, %v", e, err)
	}
	id := e.ID
	s.close()
	c := f.conn(t)
	for i := range 3 {
		if err := c.Notify(t.Context(), numbered(i)); err != nil {
			t.Fatal(err)
		}
	}
	s = f.stream(http.MethodGet, "", append([]string{"Last-Event-ID", id}, h...)...)
	for i := range 3 {
		s.next(fmt.Sprintf(`{"n":%d}`, i))
	}
	s.close()

	h = f.open("2025-06-18")
	s = f.stream(http.MethodGet, "", h...)
	if err := f.conn(t).Notify(t.Context(), numbered(7)); err != nil {
		t.Fatal(err)
	}
	if e, err := s.events.Next(); err != nil || string(e.Data) != `{"jsonrpc":"2.0","method":"notifications/x","params":{"n":7}}` || e.Retry > 0 {
		t.Errorf("first %+v, %v", e, err)
	}
}

// TestHTTPResumeRefuses: an event id that is not this session's, or of what is
// no longer kept, is refused rather than answered with a gap.
func TestHTTPResumeRefuses(t *testing.T) {
	t.Parallel()
	f := newTestFront(t, nil, &HTTPOptions{Resume: 2000})
	h := f.open("2025-11-25")
	c := f.conn(t)
	s := f.stream(http.MethodGet, "", h...)
	if err := c.Notify(t.Context(), numbered(0)); err != nil {
		t.Fatal(err)
	}
	first := s.next(`{"n":0}`).ID
	other := f.open("2025-11-25")
	s2 := f.stream(http.MethodGet, "", other...)
	if err := f.conn(t).Notify(t.Context(), numbered(0)); err != nil {
		t.Fatal(err)
	}
	foreign := s2.next(`{"n":0}`).ID
	for i := range 20 {
		if err := c.Notify(t.Context(), &Message{Method: "notifications/x", Params: json.RawMessage(fmt.Sprintf(`{"n":%d,"pad":"%s"}`, i, strings.Repeat("x", 200)))}); err != nil {
			t.Fatal(err)
		}
		s.next(fmt.Sprintf(`{"n":%d,`, i))
	}
	tag := first[:strings.IndexByte(first, '-')]
	for id, text := range map[string]string{
		"":                              "Last-Event-ID is not an id of this gateway; open a new stream without it",
		"7":                             "Last-Event-ID is not an id of this gateway; open a new stream without it",
		"x-y-z":                         "Last-Event-ID is not an id of this gateway; open a new stream without it",
		tag + "-1-2-3":                  "Last-Event-ID is not an id of this gateway; open a new stream without it",
		foreign:                         "Last-Event-ID is not of this session; open a new stream without it",
		tag + "-99-1":                   "Last-Event-ID names an event that is unknown or no longer kept; open a new stream without it",
		tag + "-1-999":                  "Last-Event-ID names an event that is unknown or no longer kept; open a new stream without it",
		first:                           "what came after the event of Last-Event-ID is no longer kept (Resume); open a new stream without it",
		tag + "-1-18446744073709551616": "Last-Event-ID is not an id of this gateway; open a new stream without it",
	} {
		req := f.request(t.Context(), http.MethodGet, "", h...)
		req.Header["Last-Event-Id"] = []string{id}
		f.do(req).want(t, 400, fault("", CodeInvalidRequest, text))
	}
	if k := f.http.Stats().Kept; k > 4000 {
		t.Errorf("%d bytes are kept", k)
	}
	// Who asks in vain does not disturb the stream.
	if err := c.Notify(t.Context(), numbered(77)); err != nil {
		t.Fatal(err)
	}
	s.next(`{"n":77}`)
}

// TestHTTPResumeReplaces: a GET takes the stream over from a connection that
// is half gone, and neither loses nor repeats what that was not given.
func TestHTTPResumeReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 50
		f := newPipeFront(t, nil, &HTTPOptions{Resume: 1 << 20})
		h := f.open("2025-11-25")
		conn := f.conn(t)
		c := f.raw(t)
		c.request(http.MethodGet, "", append([]string{"Accept", "text/event-stream"}, h...)...)
		events := NewEventReader(c.response().Body, 0)
		if _, err := events.Next(); err != nil {
			t.Fatal(err)
		}
		id := events.LastID()
		for i := range n { // of which the connection takes none
			if err := conn.Notify(t.Context(), numbered(i)); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		s := f.stream(http.MethodGet, "", append([]string{"Last-Event-ID", id}, h...)...)
		for i := range n {
			s.next(fmt.Sprintf(`{"n":%d}`, i))
		}
		if err := conn.Notify(t.Context(), numbered(n)); err != nil {
			t.Fatal(err)
		}
		s.next(fmt.Sprintf(`{"n":%d}`, n))
		if got := f.http.Stats(); got.Streams != 1 || got.Dropped != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// TestHTTPWaitsForGet: what belongs to no call waits, within bounds, for a
// stream.
func TestHTTPWaitsForGet(t *testing.T) {
	t.Parallel()
	f := newTestFront(t, nil, &HTTPOptions{Queue: 8 << 10, MaxStreams: 2})
	h := f.open("2025-11-25")
	c := f.conn(t)
	asked := make(chan error, 1)
	go func() {
		reply, err := c.Call(t.Context(), &Message{ID: json.RawMessage(`"q"`), Method: "roots/list"}, nil)
		if err == nil && string(reply.Result) != `{"roots":[]}` {
			err = fmt.Errorf("the answer is %s", reply.Result)
		}
		asked <- err
	}()
	s := f.stream(http.MethodGet, "", h...)
	var m struct{ ID json.RawMessage }
	if err := json.Unmarshal(s.next("roots/list").Data, &m); err != nil {
		t.Fatal(err)
	}
	f.post(`{"jsonrpc":"2.0","id":`+string(m.ID)+`,"result":{"roots":[]}}`, h...).want(t, 202, "")
	if err := <-asked; err != nil {
		t.Error(err)
	}
	s2 := f.stream(http.MethodGet, "", h...)
	f.do(f.request(t.Context(), http.MethodGet, "", h...)).want(t, 429, overLimit("", "the session has 2 streams open, its limit", "MaxStreams"))
	s.close()
	s2.close()

	h = f.open("2025-11-25")
	c = f.conn(t)
	for range 5 { // one is enough
		if err := c.Notify(t.Context(), &Message{Method: "notifications/tools/list_changed"}); err != nil {
			t.Fatal(err)
		}
	}
	full := 0
	for i := range 100 {
		if err := c.Notify(t.Context(), &Message{Method: "notifications/x", Params: json.RawMessage(fmt.Sprintf(`{"n":%d,"pad":"%s"}`, i, strings.Repeat("x", 400)))}); err != nil {
			full = i
			if want := "the client has no stream open (GET), and what waits for it already takes the 8192 bytes that may, or ResumeTotal (Queue) (-31003)"; err.Error() != want {
				t.Errorf("Notify returned %v", err)
			}
			break
		}
	}
	if full < 5 {
		t.Fatalf("%d messages may wait", full)
	}
	s = f.stream(http.MethodGet, "", h...)
	s.next("list_changed")
	for i := range full {
		s.next(fmt.Sprintf(`{"n":%d,`, i))
	}
}

// TestHTTPKeepAlive: a stream is never silent for long, and a request without
// an answer becomes one.
func TestHTTPKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		host := &testHost{
			session: func(_ context.Context, _ Conn, m *Message) (*Message, error) { <-goOn; return echo(m) },
			stateless: func(_ context.Context, _ Conn, _ Principal, _ *http.Request, m *Message) (*Message, error) {
				<-goOn
				return echo(m)
			},
		}
		f := newPipeFront(t, host, &HTTPOptions{KeepAlive: 10 * time.Second})
		h := f.open("2025-11-25")
		body, header := modern("5", "tools/list", "")
		for _, c := range []struct {
			name, method, body string
			header             []string
			comments           bool // from the start
		}{
			{"GET", http.MethodGet, "", h, true},
			{"legacy", http.MethodPost, `{"jsonrpc":"2.0","id":5,"method":"x"}`, h, false},
			{"modern", http.MethodPost, body, header, false},
		} {
			goOn = make(chan struct{})
			raw := f.raw(t)
			accept := "application/json, text/event-stream"
			if c.method == http.MethodGet {
				accept = "text/event-stream"
			}
			start := time.Now()
			raw.request(c.method, c.body, append([]string{"Accept", accept}, c.header...)...)
			resp := raw.response()
			if d := time.Since(start); !c.comments && (d < 10*time.Second || d > 15*time.Second) {
				t.Errorf("%s: the stream began after %s", c.name, d)
			}
			if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
				t.Fatalf("%s: Content-Type %q", c.name, got)
			}
			buf := make([]byte, 1000)
			if _, err := resp.Body.Read(buf); err != nil { // the id, or a comment
				t.Fatal(err)
			}
			for range 3 {
				start := time.Now()
				n, err := resp.Body.Read(buf)
				if err != nil || string(buf[:n]) != ":\n\n" || time.Since(start) != 10*time.Second {
					t.Errorf("%s: %q, %v after %s", c.name, buf[:n], err, time.Since(start))
				}
			}
			close(goOn)
			if c.method == http.MethodGet {
				_ = raw.Close()
				continue
			}
			n, err := resp.Body.Read(buf)
			if err != nil || !strings.Contains(string(buf[:n]), `"id":5,"result"`) {
				t.Errorf("%s: %q, %v", c.name, buf[:n], err)
			}
		}
	})
}
