package inproc

import (
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
)

// room lets those who put notifications into a channel wait until it has
// room. An MCPServer asks a session for its channel, then sends to it without
// waiting, and drops what does not fit: so the waiting is done when it asks.
// Several handlers may ask at the same time before any of them sends, hence
// half of a channel is kept for them.
type room struct {
	mu   sync.Mutex
	cond sync.Cond
}

func (r *room) init() { r.cond.L = &r.mu }

// await returns when notes is at most half full, or when one of the channels
// over and done is closed.
func (r *room) await(notes chan mcp.JSONRPCNotification, over, done <-chan struct{}) {
	if len(notes) <= cap(notes)/2 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(notes) > cap(notes)/2 && !closed(over) && !closed(done) {
		r.cond.Wait()
	}
}

// changed wakes those who wait: something was taken, or a channel closed.
func (r *room) changed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cond.Broadcast()
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
