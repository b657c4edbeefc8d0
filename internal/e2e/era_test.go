//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// ofOneEra stands before a server of both eras and makes it one of only one,
// answering the other as such servers do.
func ofOneEra(t *testing.T, target string, modern bool) string {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(u) },
		FlushInterval: -1,
	}
	refuse := func(w http.ResponseWriter, status, code int, message, data string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":null,"error":{"code":%d,"message":%q%s}}`, code, message, data)
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client is gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		speaksModern := r.Header.Get("MCP-Protocol-Version") >= "2026" || bytes.Contains(body, []byte("io.modelcontextprotocol/protocolVersion"))
		switch {
		case modern && r.Method != http.MethodPost:
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		case modern && !speaksModern:
			refuse(w, http.StatusBadRequest, -32022, "Unsupported protocol version", `,"data":{"supported":["2026-07-28"],"requested":"2025-11-25"}`)
		case !modern && speaksModern:
			refuse(w, http.StatusBadRequest, -32000, "Bad Request: Unsupported protocol version", "")
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	return strings.TrimSuffix(front.URL, "/") + "/"
}

const requestsOfModern = "these tools of the server send requests, which it refuses to do in the modern era: there are others for input_required"

const namesOfQuestions = "the suite wants the server's own name of the question; a legacy server's question has an id and no name"

// TestConformanceAcrossEras runs the suite of one era against a gateway whose
// server speaks only the other. What passes at the server itself in the
// suite's era must pass, except where the reason says why it cannot.
func TestConformanceAcrossEras(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		revision string // of the suite, so of the client
		stateful bool   // how the server alone passes this revision
		modern   bool   // the era of the server behind the gateway
		cannot   map[string]string
	}{
		{"modern client, legacy server", "2026-07-28", false, false, map[string]string{
			"input-required-result-basic-elicitation":   namesOfQuestions,
			"input-required-result-ignore-extra-params": namesOfQuestions,
			"input-required-result-multi-round":         "the server answers with its own rounds, which a legacy client, as the gateway is here, cannot continue",
		}},
		{"legacy client, modern server", "2025-11-25", true, true, map[string]string{
			"elicitation-sep1034-defaults": requestsOfModern,
			"elicitation-sep1330-enums":    requestsOfModern,
			"tools-call-elicitation":       requestsOfModern,
			"tools-call-sampling":          requestsOfModern,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			alone := suite(t, "server", "--url", everything(t, tc.stateful), "--requirements", tc.revision)
			behind := ofOneEra(t, everything(t, !tc.modern), tc.modern)
			g := serve(t, unprefixed(fmt.Sprintf("{url: %q}", behind)))
			through := suite(t, "server", "--url", g.url, "--requirements", tc.revision)
			table(t, alone, through)
			compare(t, alone, through, tc.cannot)
		})
	}
}

// TestClientsAcrossEras has published clients of each era call a server of the
// other: what the server asks must reach the client in the client's way.
func TestClientsAcrossEras(t *testing.T) {
	t.Parallel()
	answer := expectation{step: step{Do: "answer", Content: map[string]any{"name": "Ada", "username": "ada", "email": "ada@example.com"}}}
	t.Run("modern client, legacy server", func(t *testing.T) {
		t.Parallel()
		g := serve(t, unprefixed(fmt.Sprintf("{url: %q}", ofOneEra(t, everything(t, true), false))))
		tr := act(t, "v2", g.url, []expectation{
			answer,
			{step: step{Do: "call", Name: "test_simple_text"}, want: []string{"simple text"}},
			{step: step{Do: "call", Name: "test_elicitation", Arguments: map[string]any{"message": "who"}}, want: []string{"accept", "ada"}},
			{step: step{Do: "call", Name: "test_sampling", Arguments: map[string]any{"prompt": "say"}}, want: []string{"sampled by the client"}},
			{step: step{Do: "call", Name: "test_tool_with_progress", Progress: true}, want: []string{`"progress":100`}},
			{step: step{Do: "subscribe", URI: "test://watched-resource"}},
			{step: step{Do: "await", Method: "notifications/resources/updated"}, want: []string{"test://watched-resource"}},
		})
		if tr.Version != "2026-07-28" {
			t.Errorf("negotiated %s", tr.Version)
		}
	})
	t.Run("legacy client, modern server", func(t *testing.T) {
		t.Parallel()
		g := serve(t, unprefixed(fmt.Sprintf("{url: %q}", ofOneEra(t, everything(t, false), true))))
		tr := act(t, "v1", g.url, []expectation{
			answer,
			{step: step{Do: "call", Name: "test_simple_text"}, want: []string{"simple text"}},
			{step: step{Do: "call", Name: "test_input_required_result_elicitation"}, want: []string{"Ada"}},
			{step: step{Do: "call", Name: "test_input_required_result_sampling"}, want: []string{"sampled by the client"}},
			{step: step{Do: "call", Name: "test_input_required_result_list_roots"}, want: []string{"file:///srv/e2e"}},
			{step: step{Do: "call", Name: "test_tool_with_progress", Progress: true}, want: []string{`"progress":100`}},
			{step: step{Do: "subscribe", URI: "test://watched-resource"}},
			{step: step{Do: "await", Method: "notifications/resources/updated"}, want: []string{"test://watched-resource"}},
		})
		if tr.Version != "2025-11-25" {
			t.Errorf("negotiated %s", tr.Version)
		}
	})
}
