package containerd

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/internal/owner"
)

// The labels of everything that a Runtime makes in containerd.
const (
	labelOwner   = "gatehouse.owner"   // the id of the gateway
	labelBoot    = "gatehouse.boot"    // of the machine
	labelState   = "gatehouse.state"   // the gateway's state folder
	labelProcess = "gatehouse.process" // of the gateway
	labelServer  = "gatehouse.server"  // the server's name; of containers
	labelGroup   = "gatehouse.group"   // of shims that share a process; of containers
	labelImage   = "gatehouse.image"   // of images that a gateway has brought: whence
)

// labels are those that name an owner.
func labels(o *owner.Owner) map[string]string {
	return map[string]string{labelOwner: o.ID, labelBoot: o.Boot, labelState: o.State, labelProcess: o.Process}
}

// ofState is the filter of containerd for what gateways of a state folder
// have made.
func ofState(state string) string {
	return "labels." + strconv.Quote(labelState) + "==" + strconv.Quote(state)
}

// word makes a server's name a part of an identifier: letters, digits and
// single hyphens.
func word(s string, most int) string {
	var b strings.Builder
	hyphen := true
	for _, c := range []byte(s) {
		switch {
		case b.Len() == most:
			return strings.TrimSuffix(b.String(), "-")
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			b.WriteByte(c)
			hyphen = false
		case !hyphen:
			b.WriteByte('-')
			hyphen = true
		}
	}
	return strings.TrimSuffix(b.String(), "-")
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(strconv.Itoa(len(p)) + ":" + p))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
