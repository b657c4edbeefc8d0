package interceptor

import (
	"context"
	"encoding/json"
	"sync"
)

// NewMemorySession returns a [Session] whose values live in memory, for a
// gateway of one node and for tests.
func NewMemorySession(id string) Session { return &memorySession{id: id} }

type memorySession struct {
	id string
	mu sync.Mutex
	m  map[string]string // nil until something is stored
}

var _ Session = (*memorySession)(nil)

func (s *memorySession) ID() string { return s.id }

func (s *memorySession) LoadOrStore(_ context.Context, key, value string) (string, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.m[key]; ok {
		return v, true, nil
	}
	s.set(key, value)
	return value, false, nil
}

func (s *memorySession) Load(_ context.Context, key string) (string, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.m[key]
	return v, ok, nil
}

func (s *memorySession) Store(_ context.Context, key, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(key, value)
	return nil
}

func (s *memorySession) set(key, value string) {
	if s.m == nil {
		s.m = make(map[string]string)
	}
	s.m[key] = value
}

// memoryHost is the host of a Call that was made by hand.
type memoryHost struct{ session memorySession }

var _ Host = (*memoryHost)(nil)

func (h *memoryHost) Session() Session { return &h.session }

func (h *memoryHost) Ask(context.Context, *Call, string, json.RawMessage) (json.RawMessage, error) {
	return nil, ErrCannotAsk
}
