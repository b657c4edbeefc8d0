package admin

import (
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway"
)

// Event is something that happened in a gateway.
type Event struct {
	Time time.Time `json:"time"`
	Kind EventKind `json:"kind"`

	Server   string `json:"server,omitempty"`
	Instance string `json:"instance,omitempty"`
	State    string `json:"state,omitempty"`
	Attempt  int    `json:"attempt,omitempty"`
	Took     string `json:"took,omitempty"` // of a start, such as "1.2s"
	Error    string `json:"error,omitempty"`

	Session   string `json:"session,omitempty"`
	Principal string `json:"principal,omitempty"`
	Client    string `json:"client,omitempty"`

	// Count is how many messages were dropped for a slow client, or how
	// many events this listener missed.
	Count int `json:"count,omitempty"`
}

// EventKind says what an Event tells of.
type EventKind string

// The kinds of events.
const (
	InstanceChanged EventKind = "instance"
	SessionOpened   EventKind = "session.opened"
	SessionEnded    EventKind = "session.ended"
	ListsChanged    EventKind = "lists"
	Dropped         EventKind = "dropped"
	Missed          EventKind = "missed" // this listener was too slow
)

// Bounds of a feed.
const (
	maxListeners = 32
	maxQueued    = 512 // events that wait for one listener; then the newest are missed and counted
)

// Feed hands the events of a gateway to those who listen. It is safe for
// concurrent use and starts no goroutine.
type Feed struct {
	next gateway.Events
	mu   sync.Mutex
	ls   map[*listener]bool
}

type listener struct {
	queue  chan Event
	missed int
}

// NewFeed makes a Feed. Each event is passed on to next too.
func NewFeed(next gateway.Events) *Feed { return &Feed{next: next, ls: make(map[*listener]bool)} }

// Events is what the gateway's options get, also at each reload.
func (f *Feed) Events() gateway.Events {
	return gateway.Events{
		Instance: func(e gateway.InstanceEvent) {
			ev := Event{Kind: InstanceChanged, Server: e.Server, Instance: e.ID, State: string(e.State), Attempt: e.Attempt, Error: e.Err}
			if e.Took > 0 {
				ev.Took = e.Took.Round(time.Millisecond).String()
			}
			f.publish(ev)
			if f.next.Instance != nil {
				f.next.Instance(e)
			}
		},
		Session: func(e gateway.SessionEvent) {
			ev := Event{Kind: SessionEnded, Session: e.ID, Principal: e.Principal.String(), Client: e.Client.Name}
			if e.Open {
				ev.Kind = SessionOpened
			}
			f.publish(ev)
			if f.next.Session != nil {
				f.next.Session(e)
			}
		},
		Lists: func(server string) {
			f.publish(Event{Kind: ListsChanged, Server: server})
			if f.next.Lists != nil {
				f.next.Lists(server)
			}
		},
		Dropped: func(session string, n int) {
			f.publish(Event{Kind: Dropped, Session: session, Count: n})
			if f.next.Dropped != nil {
				f.next.Dropped(session, n)
			}
		},
	}
}

func (f *Feed) publish(e Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.ls) == 0 {
		return
	}
	e.Time = time.Now()
	for l := range f.ls {
		if l.missed > 0 && cap(l.queue)-len(l.queue) >= 2 {
			l.queue <- Event{Time: e.Time, Kind: Missed, Count: l.missed}
			l.missed = 0
		}
		select {
		case l.queue <- e:
		default:
			l.missed++
		}
	}
}

// listen returns a queue of events and the function that ends it; nil when
// there are too many listeners.
func (f *Feed) listen() (queue <-chan Event, end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.ls) >= maxListeners {
		return nil, nil
	}
	l := &listener{queue: make(chan Event, maxQueued)}
	f.ls[l] = true
	return l.queue, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.ls, l)
	}
}
