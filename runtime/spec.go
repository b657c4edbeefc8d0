package runtime

import (
	"cmp"
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

	// Secrets are given to the server in stronger forms than the environment.
	Secrets []SecretUse `json:"secrets,omitempty"`

	// Dir is the working directory; empty for the driver's default.
	Dir string `json:"dir,omitempty"`

	// User is "uid" or "uid:gid"; empty for the image's own user if that is
	// not root, else [DefaultUser]. "0" or "0:0" is the only way to root.
	User string `json:"user,omitempty"`

	// Owner is for whom the instance is: named volumes are kept apart by it.
	// [Of] sets it to the principal of the key; it is empty for a shared
	// instance.
	Owner string `json:"owner,omitempty"`

	Mounts  []Mount `json:"mounts,omitempty"`
	Limits  Limits  `json:"limits,omitzero"`
	Network Network `json:"network,omitzero"`

	// Class names the runtime class, such as "gvisor"; empty for the
	// driver's default.
	Class string `json:"class,omitempty"`

	// Port, when it is not 0, is where the server speaks Streamable HTTP on
	// its own loopback, below Path ["/mcp"]; otherwise it speaks on its
	// standard input and output.
	Port int    `json:"port,omitempty"`
	Path string `json:"path,omitempty"`

	// ProgramAlone has a local command see its program without the folder
	// that this lies in. A [Ceiling] that bounds mounts sets it.
	ProgramAlone bool `json:"programAlone,omitempty"`

	// WritableRoot makes the root file system writable.
	WritableRoot bool `json:"writableRoot,omitempty"`

	// Unconfined asks for a plain process without any of the limits above.
	// It is the only way to the process driver.
	Unconfined bool `json:"unconfined,omitempty"`

	// MaxLine bounds one message on the server's standard output, in bytes;
	// 0 means 64 MiB.
	MaxLine int `json:"maxLine,omitempty"`
}

// Mount shows a folder or file of the host, or a named volume, to the server.
type Mount struct {
	// Source is an absolute path of the host; symbolic links in it are
	// refused. Volume, in its stead, names a folder that the driver keeps
	// for this server and owner: 1 to 64 of [a-z0-9._-].
	Source string `json:"source,omitempty"`
	Volume string `json:"volume,omitempty"`

	Target   string `json:"target"`
	Writable bool   `json:"writable,omitempty"` // of a Source; a volume always is

	// Size is what a Volume holds at most, in bytes, with what its file
	// system needs for itself: 16 MiB or more; 0: as much as the disk. It
	// can be raised while no server uses the volume, but not lowered, and a
	// volume that was made without does not get one while it has content.
	Size int64 `json:"size,omitempty"`

	// Force allows a Source that is on the list of sensitive places (see
	// [Sensitive]).
	Force bool `json:"force,omitempty"`
}

// Limits bounds what an instance may use. Zero means the default, in
// brackets.
type Limits struct {
	CPUs   float64 `json:"cpus,omitempty"`   // cores [1]
	Memory int64   `json:"memory,omitempty"` // bytes, no swap [2 GiB]
	PIDs   int64   `json:"pids,omitempty"`   // processes and threads [256]
	Tmp    int64   `json:"tmp,omitempty"`    // bytes below /tmp, which count as memory [64 MiB]
	Files  int64   `json:"files,omitempty"`  // open descriptors of a process [1024]
}

// The defaults of [Limits], and the user of a server whose image names none.
const (
	DefaultCPUs   = 1.0
	DefaultMemory = 2 << 30
	DefaultPIDs   = 256
	DefaultTmp    = 64 << 20
	DefaultFiles  = 1024
	DefaultUser   = "65532:65532"
)

// OrDefault returns l with the defaults in the place of zeros.
func (l Limits) OrDefault() Limits {
	return Limits{
		CPUs:   cmp.Or(l.CPUs, DefaultCPUs),
		Memory: cmp.Or(l.Memory, DefaultMemory),
		PIDs:   cmp.Or(l.PIDs, DefaultPIDs),
		Tmp:    cmp.Or(l.Tmp, DefaultTmp),
		Files:  cmp.Or(l.Files, DefaultFiles),
	}
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
