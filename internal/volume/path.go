package volume

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"regexp"
)

// plain is a server's name that can be that of a folder as it is.
var plain = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$`)

// Path is the folder of a volume. An empty owner is a folder for all. The
// names of two servers, or of two owners, never lead to one folder.
func Path(state, server, owner, name string) string {
	if !plain.MatchString(server) {
		server = "=" + short(server)
	}
	who := "shared"
	if owner != "" {
		who = "=" + short(owner)
	}
	return filepath.Join(state, "volumes", server, who, name)
}

func short(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}
