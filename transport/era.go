package transport

import (
	"encoding/json"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// Era is one of the two ways in which the protocol keeps a conversation. It
// is a property of a server; the zero value means that it is not known.
type Era uint8

// The eras.
const (
	// Legacy is the revisions 2024-11-05 to 2025-11-25: initialize, sessions,
	// requests in both directions.
	Legacy Era = 1 + iota
	// Modern is 2026-07-28 and later: stateless, every request carries its
	// version, client and capabilities in _meta.
	Modern
)

// String names the era as the configuration and the logs do.
func (e Era) String() string {
	switch e {
	case Legacy:
		return "legacy"
	case Modern:
		return "modern"
	}
	return "unknown"
}

// The newest revision of each era that this library speaks.
const (
	VersionLegacy = "2025-11-25"
	VersionModern = "2026-07-28"
)

// versionBatch is the one revision that has JSON-RPC batches.
const versionBatch = "2025-03-26"

// LegacyVersions lists the legacy revisions that this library speaks, the
// newest first; ModernVersions the modern ones. They must not be changed.
var (
	LegacyVersions = []string{VersionLegacy, "2025-06-18", "2025-03-26", "2024-11-05"}
	ModernVersions = []string{VersionModern}
)

// EraOf returns the era of a revision, known or not: revisions are dates, and
// every date from 2026-07-28 on is modern. What is no date has no era.
func EraOf(version string) Era {
	if len(version) != len(VersionModern) {
		return 0
	}
	for i := range len(version) {
		if dash := i == 4 || i == 7; dash != (version[i] == '-') || !dash && (version[i] < '0' || version[i] > '9') {
			return 0
		}
	}
	if version >= VersionModern {
		return Modern
	}
	return Legacy
}

// The keys of _meta with which a modern request describes itself.
const (
	MetaVersion      = "io.modelcontextprotocol/protocolVersion"
	MetaClientInfo   = "io.modelcontextprotocol/clientInfo"
	MetaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	MetaLogLevel     = "io.modelcontextprotocol/logLevel"
	MetaServerInfo   = "io.modelcontextprotocol/serverInfo"
	MetaSubscription = "io.modelcontextprotocol/subscriptionId"
)

// ModernMeta returns params with the three _meta keys of a modern request
// laid over it; every other byte stays. params may be nil. A nil clientInfo is
// left out, nil capabilities are sent as none.
func ModernMeta(params json.RawMessage, version string, clientInfo, capabilities json.RawMessage) json.RawMessage {
	if params == nil {
		params = json.RawMessage("{}")
	}
	if capabilities == nil {
		capabilities = json.RawMessage("{}")
	}
	edits := append(make([]rawjson.Edit, 0, 3),
		rawjson.Edit{Path: []string{"_meta", MetaVersion}, Value: rawjson.Quote(version)},
		rawjson.Edit{Path: []string{"_meta", MetaCapabilities}, Value: capabilities})
	if clientInfo != nil {
		edits = append(edits, rawjson.Edit{Path: []string{"_meta", MetaClientInfo}, Value: clientInfo})
	}
	return rawjson.Apply(params, edits...)
}

// StripModernMeta returns params without the _meta keys that only a modern
// request has, and without a _meta that is empty then.
func StripModernMeta(params json.RawMessage) json.RawMessage {
	meta, ok := rawjson.Get(params, "_meta")
	if !ok {
		return params
	}
	found, others := false, false
	rawjson.Each(meta, func(key, _ []byte) bool {
		switch {
		case rawjson.KeyIs(key, MetaVersion), rawjson.KeyIs(key, MetaClientInfo),
			rawjson.KeyIs(key, MetaCapabilities), rawjson.KeyIs(key, MetaLogLevel):
			found = true
		default:
			others = true
		}
		return true
	})
	switch {
	case !found:
		return params
	case !others:
		return rawjson.Delete(params, "_meta")
	}
	return rawjson.Apply(params,
		rawjson.Edit{Path: []string{"_meta", MetaVersion}},
		rawjson.Edit{Path: []string{"_meta", MetaClientInfo}},
		rawjson.Edit{Path: []string{"_meta", MetaCapabilities}},
		rawjson.Edit{Path: []string{"_meta", MetaLogLevel}})
}
