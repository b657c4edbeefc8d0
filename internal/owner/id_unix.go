//go:build unix

package owner

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"strings"
)

// folder is where the locks are, below a state folder.
const folder = "owners"

// idBytes is the length of an id; it is written in hex.
const idBytes = 16

func newID() string {
	b := make([]byte, idBytes)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

// valid tells whether id is one that Hold made: nothing else is ever looked
// up as a file.
func valid(id string) bool {
	b, err := hex.DecodeString(id)
	return err == nil && len(b) == idBytes && strings.ToLower(id) == id
}

// boot identifies this start of the machine; empty where the system does not
// tell.
func boot() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
