package transport

import (
	"encoding/json"
	"testing"
)

func TestEraOf(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]Era{
		"2024-11-05": Legacy, "2025-11-25": Legacy, "2026-07-27": Legacy,
		"2026-07-28": Modern, "2027-01-01": Modern, "9999-12-31": Modern,
		"": 0, "latest": 0, "2026-7-28": 0, "2026-07-2x": 0, "2026/07/28": 0, "2026-07-28 ": 0, "----------": 0,
	} {
		if got := EraOf(version); got != want {
			t.Errorf("EraOf(%q) = %v, want %v", version, got, want)
		}
	}
}

func TestModernMeta(t *testing.T) {
	t.Parallel()
	const (
		v    = `"io.modelcontextprotocol/protocolVersion":"2026-07-28"`
		caps = `"io.modelcontextprotocol/clientCapabilities":{"roots":{}}`
		info = `"io.modelcontextprotocol/clientInfo":{"name":"c"}`
	)
	for _, tt := range []struct{ name, in, want string }{
		{"nil", "", `{"_meta":{` + v + `,` + caps + `,` + info + `}}`},
		{"empty", "{}", `{"_meta":{` + v + `,` + caps + `,` + info + `}}`},
		{"beside", `{ "name":"x", "n":12345678901234567890 }`, `{ "name":"x", "n":12345678901234567890,"_meta":{` + v + `,` + caps + `,` + info + `} }`},
		{"with meta", `{"_meta":{"progressToken":7},"name":"x"}`, `{"_meta":{"progressToken":7,` + v + `,` + caps + `,` + info + `},"name":"x"}`},
		{"over", `{"_meta":{"io.modelcontextprotocol/protocolVersion":"1900-01-01"}}`, `{"_meta":{` + v + `,` + caps + `,` + info + `}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var in json.RawMessage
			if tt.in != "" {
				in = json.RawMessage(tt.in)
			}
			got := ModernMeta(in, VersionModern, json.RawMessage(`{"name":"c"}`), json.RawMessage(`{"roots":{}}`))
			if string(got) != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if tt.in != "" && string(in) != tt.in {
				t.Errorf("the input became %s", in)
			}
		})
	}
	if got := string(ModernMeta(nil, VersionModern, nil, nil)); got != `{"_meta":{`+v+`,"io.modelcontextprotocol/clientCapabilities":{}}}` {
		t.Errorf("without client and capabilities: %s", got)
	}
}

func TestStripModernMeta(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", `{"name":"x"}`, `{"name":"x"}`},
		{"others", `{"_meta":{"progressToken":7}}`, `{"_meta":{"progressToken":7}}`},
		{"all", `{"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/logLevel":"info"}}`, `{"name":"x"}`},
		{"mixed", `{"_meta":{"a":1,"io.modelcontextprotocol/clientInfo":{},"io.modelcontextprotocol/clientCapabilities":{}},"x":1}`, `{"_meta":{"a":1},"x":1}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := string(StripModernMeta(json.RawMessage(tt.in))); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
