package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// TestHTTPClientStress has many callers at once, some of whom give up, on a
// server that answers in every way it may: no caller gets another's reply,
// and none is left without.
func TestHTTPClientStress(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(moody))
	defer srv.Close()
	for _, version := range []string{VersionLegacy, VersionModern} {
		t.Run(version, func(t *testing.T) {
			c, err := NewHTTPClient(srv.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			c.SetProtocolVersion(version)
			c.Listen(nil)
			var wg sync.WaitGroup
			for caller := range 16 {
				wg.Go(func() {
					for n := range 60 {
						text := fmt.Sprintf("%d-%d", caller, n)
						if err := oneCall(t.Context(), c, text, n%7 == 0); err != nil {
							t.Errorf("%s: %v", text, err)
						}
					}
				})
			}
			wg.Wait()
			c.mu.Lock()
			defer c.mu.Unlock()
			if len(c.calls) > 0 {
				t.Errorf("%d calls are still registered", len(c.calls))
			}
		})
	}
}

func oneCall(ctx context.Context, c *HTTPClient, text string, impatient bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if impatient {
		defer time.AfterFunc(time.Duration(rand.IntN(2000))*time.Microsecond, cancel).Stop()
	}
	id := json.RawMessage(`"` + text + `"`)
	progress := 0
	reply, err := c.Call(ctx, &Message{ID: id, Method: "tools/call", Params: json.RawMessage(`{"name":"echo","text":"` + text + `"}`)},
		ReceiverFunc(func(_ context.Context, m *Message) (*Message, error) {
			if v, _ := rawjson.Get(m.Params, "text"); string(v) == string(id) {
				progress++
			} else {
				progress = -1000
			}
			return nil, nil
		}))
	v, _ := rawjson.Get(rawOf(reply), "text")
	switch {
	case err != nil && impatient && errors.Is(err, context.Canceled):
		return nil
	case err != nil:
		return err
	case string(v) != string(id) || string(reply.ID) != string(id):
		return fmt.Errorf("got %s", reply.Result)
	case progress < 0:
		return errors.New("got the progress of another call")
	}
	return nil
}

func rawOf(m *Message) json.RawMessage {
	if m == nil {
		return nil
	}
	return m.Result
}

// moody answers a call in one of several ways.
func moody(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	b, _ := io.ReadAll(r.Body)
	m, err := Parse(b, Limits{})
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if m.IsNotification() {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	text, _ := rawjson.Get(m.Params, "text")
	answer := string(m.Reply(json.RawMessage(`{"text":` + string(text) + `,"pad":"` + strings.Repeat("x", rand.IntN(20_000)) + `"}`)).Append(nil))
	switch rand.IntN(5) {
	case 0:
		w.Header().Set("Connection", "close")
		fallthrough
	case 1, 2:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	default:
		send := httpEvents(w)
		for range rand.IntN(3) {
			send("", 0, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"text":`+string(text)+`}}`)
		}
		send("", 0, answer)
	}
}
