package inproc

import "github.com/mark3labs/mcp-go/mcp"

// queued is how many notifications of a call, or of a session, may wait.
const queued = 256

// outbox holds notifications on their way to a receiver.
//
// An MCPServer asks a session for its channel, sends to it without waiting,
// and drops what does not fit. Several handlers may ask before the first of
// them sends. So whoever asks waits for a place of his own, which is free
// again when a notification was taken out: the send that follows finds room.
type outbox struct {
	notes  chan mcp.JSONRPCNotification
	places chan struct{} // holds one for each place that is in use
}

func newOutbox() outbox {
	return outbox{
		notes:  make(chan mcp.JSONRPCNotification, queued),
		places: make(chan struct{}, queued),
	}
}

// reserve waits for a place. It reports false when there is none any more,
// because over or done is closed.
func (b outbox) reserve(over, done <-chan struct{}) bool {
	if closed(over) || closed(done) {
		return false
	}
	select {
	case b.places <- struct{}{}:
	case <-over:
		return false
	case <-done:
		return false
	}
	if closed(over) { // both were ready
		b.release()
		return false
	}
	return true
}

// tryReserve takes a place if one is free.
func (b outbox) tryReserve() {
	select {
	case b.places <- struct{}{}:
	default:
	}
}

// release frees the place of a notification that was taken out. There is none
// to free if a host kept the channel and sent to it more than once.
func (b outbox) release() {
	select {
	case <-b.places:
	default:
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
