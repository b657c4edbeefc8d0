package admin_test

import (
	"bufio"
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/gateway/admin"
	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// TestEvents streams every kind of event and passes each on.
func TestEvents(t *testing.T) {
	t.Parallel()
	next := make(chan string, 10)
	feed := admin.NewFeed(gateway.Events{
		Instance: func(gateway.InstanceEvent) { next <- "instance" },
		Session:  func(gateway.SessionEvent) { next <- "session" },
		Lists:    func(string) { next <- "lists" },
		Dropped:  func(string, int) { next <- "dropped" },
	})
	srv := httptest.NewServer(admin.New(&fake{}, admin.AllowAll, &admin.Options{Feed: feed}))
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL + "/v1/events") // answered once it listens
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()

	e := feed.Events()
	ada := transport.Principal{Subject: "ada"}
	e.Instance(gateway.InstanceEvent{Server: "files", ID: "i1", State: gateway.Failed, Attempt: 2, Took: 1500 * time.Millisecond, Err: "exited with code 1"})
	e.Session(gateway.SessionEvent{ID: "s1", Principal: ada, Client: interceptor.Client{Name: "editor"}, Open: true})
	e.Session(gateway.SessionEvent{ID: "s1", Principal: ada})
	e.Lists("files")
	e.Dropped("s1", 3)

	dec := json.NewDecoder(bufio.NewReader(resp.Body))
	for _, want := range []admin.Event{
		{Kind: admin.InstanceChanged, Server: "files", Instance: "i1", State: "failed", Attempt: 2, Took: "1.5s", Error: "exited with code 1"},
		{Kind: admin.SessionOpened, Session: "s1", Principal: "ada", Client: "editor"},
		{Kind: admin.SessionEnded, Session: "s1", Principal: "ada"},
		{Kind: admin.ListsChanged, Server: "files"},
		{Kind: admin.Dropped, Session: "s1", Count: 3},
	} {
		var got admin.Event
		if err := dec.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if got.Time.IsZero() {
			t.Errorf("%+v has no time", got)
		}
		if got.Time = (time.Time{}); got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	for _, want := range []string{"instance", "session", "session", "lists", "dropped"} {
		if got := <-next; got != want {
			t.Errorf("%s was passed on, want %s", got, want)
		}
	}
}

// TestSlowListener bounds what waits for one listener, and tells it how much
// it missed.
func TestSlowListener(t *testing.T) {
	t.Parallel()
	feed := admin.NewFeed(gateway.Events{})
	queue, end := admin.Listeners(feed)
	defer end()
	e := feed.Events()
	for range cap(queue) + 7 { // nobody reads
		e.Lists("flood")
	}
	for range cap(queue) {
		if got := <-queue; got.Server != "flood" {
			t.Fatalf("got %+v", got)
		}
	}
	e.Lists("after")
	if got := <-queue; got.Kind != admin.Missed || got.Count != 7 {
		t.Errorf("the first after the gap is %+v, want that 7 were missed", got)
	}
	if got := <-queue; got.Server != "after" {
		t.Errorf("got %+v", got)
	}
}

func TestListenersAreBounded(t *testing.T) {
	t.Parallel()
	feed := admin.NewFeed(gateway.Events{})
	n := 0
	for {
		queue, end := admin.Listeners(feed)
		if queue == nil {
			break
		}
		defer end()
		if n++; n > 1_000 {
			t.Fatal("a thousand listen")
		}
	}
	h := admin.New(&fake{}, admin.AllowAll, &admin.Options{Feed: feed})
	if code, body := request(h, "GET", "/v1/events"); code != 409 || body != `{"error":"32 listen already"}` {
		t.Errorf("%d %s", code, body)
	}
}
