package sandbox

import (
	"os"
	"sync/atomic"
	"syscall"
)

// initialised is set by Init: only then does a copy of this program do what
// process 1 of a sandbox is to do. It is a fact of the program, not of a
// Runtime.
var initialised atomic.Bool

// Init makes sandboxes possible: the driver starts copies of this program,
// each to build a sandbox from within and to stay as its process 1, and Init
// is what they do. A program that uses the driver calls it first thing in
// main, or in TestMain, before it opens or reads anything.
//
// In such a copy Init does not return. Elsewhere it returns at once. It does
// nothing on other systems than Linux.
func Init() {
	if len(os.Args) == 1 && os.Args[0] == initName && os.Getpid() == 1 {
		inside()
		syscall.Exit(0) // and none of what the program does at its exit
	}
	initialised.Store(true)
}
