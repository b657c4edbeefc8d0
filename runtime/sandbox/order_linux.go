package sandbox

import (
	"os"

	"github.com/gatehouse-mcp/gatehouse/runtime/inject"
)

// initName is the argv[0] by which a copy of this program knows that it is
// process 1 of a sandbox.
const initName = "gatehouse-sandbox-init"

// The files of process 1 beside the three of the server.
const (
	orderFile  = 3
	reportFile = 4
)

// order is what process 1 is told.
type order struct {
	Steps    []step
	Writable []string // the targets that may be written, for Landlock

	Path string
	Argv []string
	Env  []string
	Dir  string

	env    map[string]string            // what becomes of Env
	given  map[string]bool              // those of env that are the Spec's
	set    *inject.Set                  // what the server is given of secrets
	trusts func(authority []byte) error // has it trust its gate
	image  *os.File                     // held until the end
	files  []*os.File                   // of secrets, in process 1

	UID, GID int
	Root     bool   // it has the rights of root, not of a user namespace
	Files    uint64 // most open descriptors
	Core     uint64 // most bytes of a core dump
	Filter   []byte // of system calls
	Landlock bool   // the kernel has it
}

// report is what process 1 tells: that it is there, that the server was
// started, or why not, and at last how it ended.
type report struct {
	Ready   bool   `json:",omitempty"`
	Started bool   `json:",omitempty"`
	Error   string `json:",omitempty"`
	Ended   bool   `json:",omitempty"`
	Code    int
	Signal  int `json:",omitempty"`
}

// telling is what process 1 is told later: to ask the server to end, or to
// rewrite a file of a secret. The end of the pipe ends everything.
type telling struct {
	Ask     bool   `json:",omitempty"`
	File    int    `json:",omitempty"` // counted from 1
	Content []byte `json:",omitempty"`
}
