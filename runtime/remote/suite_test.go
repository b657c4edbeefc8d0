package remote_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/remote"
	"github.com/gatehouse-mcp/gatehouse/runtime/runtimetest"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// sessions is a legacy server that keeps sessions and can forget them.
type sessions struct {
	mu   sync.Mutex
	next int
	open map[string]bool
}

func (s *sessions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.Header.Get("Mcp-Session-Id")
	switch r.Method {
	case http.MethodDelete:
		delete(s.open, id)
		return
	case http.MethodGet:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	var m transport.Message
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	result := `{}`
	switch {
	case m.Method == "initialize":
		s.next++
		id = fmt.Sprint("s", s.next)
		s.open[id] = true
		w.Header().Set("Mcp-Session-Id", id)
		result = `{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"sessions","version":"1"}}`
	case !s.open[id]:
		w.WriteHeader(http.StatusNotFound)
		return
	case m.IsNotification():
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(m.Reply(json.RawMessage(result)).Append(nil))
}

func TestLauncher(t *testing.T) {
	s := &sessions{open: make(map[string]bool)}
	srv := httptest.NewServer(s)
	defer srv.Close()
	runtimetest.Launcher(t, runtimetest.LauncherConfig{
		Launcher: remote.New(srv.URL, nil),
		Crash: func(t *testing.T, i runtime.Instance) {
			s.mu.Lock()
			clear(s.open)
			s.mu.Unlock()
			_, err := i.Conn().Call(t.Context(), &transport.Message{ID: json.RawMessage("1"), Method: "ping"}, nil)
			if !errors.Is(err, transport.ErrSessionExpired) {
				t.Errorf("a call in a session that the server forgot: %v", err)
			}
		},
	})
}
