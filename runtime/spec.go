package runtime

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// ErrCannotEnforce is matched by the errors of a [Runtime] that was asked for
// more than it can hold.
var ErrCannotEnforce = errors.New("cannot be enforced by this runtime")

// Spec describes what to start. It is a pure value: it can be built, printed,
// compared by [Spec.Definition] and tested without any daemon. Its zero value
// means the safe default everywhere, never "unlimited": a [Runtime] that
// cannot enforce something refuses it.
type Spec struct {
	// Name is used in names and labels; it defaults to the server's name.
	Name string `json:"name,omitempty"`

	// Image is the container image; empty for a command of this machine.
	Image string `json:"image,omitempty"`

	// Command is the program and its first arguments; empty for the image's
	// own. Args are appended.
	Command []string `json:"command,omitempty"`
	Args    []string `json:"args,omitempty"`

	// Env is the environment beside the minimum that the driver documents.
	// Nothing of the gateway's own environment is passed on.
	Env map[string]secrets.Value `json:"env,omitempty"`

	// Dir is the working directory; empty for the driver's default.
	Dir string `json:"dir,omitempty"`

	// User is "uid" or "uid:gid"; empty for the driver's unprivileged
	// default.
	User string `json:"user,omitempty"`

	Mounts  []Mount `json:"mounts,omitempty"`
	Limits  Limits  `json:"limits,omitzero"`
	Network Network `json:"network,omitzero"`

	// WritableRoot makes the root file system writable.
	WritableRoot bool `json:"writableRoot,omitempty"`

	// Unconfined asks for a plain process without any of the limits above.
	// It is the only way to the process driver.
	Unconfined bool `json:"unconfined,omitempty"`

	// MaxLine bounds one message on the server's standard output, in bytes;
	// 0 means 64 MiB.
	MaxLine int `json:"maxLine,omitempty"`
}

// Mount shows a folder or file of the host to the server.
type Mount struct {
	Source   string `json:"source"`
	Target   string `json:"target"`
	Writable bool   `json:"writable,omitempty"`
}

// Limits bounds what an instance may use. Zero means the default, in
// brackets.
type Limits struct {
	CPUs   float64 `json:"cpus,omitempty"`   // cores [1]
	Memory int64   `json:"memory,omitempty"` // bytes, no swap [2 GiB]
	PIDs   int64   `json:"pids,omitempty"`   // processes and threads [256]
}

// Network is what an instance may reach beside its own loopback; nothing by
// default.
type Network struct {
	// Allow lists HOST:PORT, where HOST is a name, "*.suffix", an address
	// or a CIDR.
	Allow []string `json:"allow,omitempty"`
}

// Definition is equal for two Specs that start the same thing. It holds no
// secret: values show as redacted, references as written.
func (s Spec) Definition() string {
	b, err := json.Marshal(s)
	if err != nil { // no field of Spec can fail
		return err.Error()
	}
	return string(b)
}

// String is Definition.
func (s Spec) String() string { return s.Definition() }

// DefaultStart is the time a server has from its start to its first answer,
// where nothing else is said.
const DefaultStart = 30 * time.Second
