//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// session is a legacy client over HTTP that is cheap enough to have a hundred
// of.
type session struct {
	url, id string
	n       int
}

var sessionClient = &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 200}}

// open does the handshake.
func (s *session) open() error {
	if _, err := s.post("initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"e2e","version":"1"}}`, false); err != nil {
		return err
	}
	_, err := s.post("notifications/initialized", "", true)
	return err
}

// call calls a tool; the error is what the tool says when it failed.
func (s *session) call(tool, arguments string) (string, error) {
	if arguments == "" {
		arguments = "{}"
	}
	b, err := s.post("tools/call", fmt.Sprintf(`{"name":%q,"arguments":%s}`, tool, arguments), false)
	if err != nil {
		return "", err
	}
	var reply struct {
		Result struct {
			Content []struct{ Text string }
			IsError bool
		}
		Error *struct{ Message string }
	}
	if err := json.Unmarshal(b, &reply); err != nil {
		return "", fmt.Errorf("%w: %.200s", err, b)
	}
	if reply.Error != nil {
		return "", errors.New(reply.Error.Message)
	}
	var text strings.Builder
	for _, c := range reply.Result.Content {
		text.WriteString(c.Text)
	}
	if reply.Result.IsError {
		return "", errors.New(text.String())
	}
	return text.String(), nil
}

// post sends a message and returns the reply, out of its stream if need be.
func (s *session) post(method, params string, notification bool) ([]byte, error) {
	s.n++
	m := fmt.Sprintf(`{"jsonrpc":"2.0","method":%q`, method)
	if !notification {
		m += fmt.Sprintf(`,"id":%d`, s.n)
	}
	if params != "" {
		m += `,"params":` + params
	}
	req, err := http.NewRequest(http.MethodPost, s.url, strings.NewReader(m+"}"))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if s.id != "" {
		req.Header.Set("Mcp-Session-Id", s.id)
		req.Header.Set("Mcp-Protocol-Version", "2025-11-25")
	}
	resp, err := sessionClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s: %s: %.300s", method, resp.Status, b)
	}
	if id := resp.Header.Get("Mcp-Session-Id"); id != "" {
		s.id = id
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		for line := range bytes.Lines(b) {
			if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok && bytes.Contains(data, fmt.Appendf(nil, `"id":%d`, s.n)) {
				return bytes.TrimSpace(data), nil
			}
		}
		return nil, fmt.Errorf("%s: no reply in the stream: %.300s", method, b)
	}
	return b, nil
}

// close ends the session.
func (s *session) close() {
	req, err := http.NewRequest(http.MethodDelete, s.url, nil)
	if err != nil {
		return
	}
	req.Header.Set("Mcp-Session-Id", s.id)
	req.Header.Set("Mcp-Protocol-Version", "2025-11-25")
	if resp, err := sessionClient.Do(req); err == nil {
		_ = resp.Body.Close()
	}
}
