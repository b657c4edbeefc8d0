// Package filelock takes locks of files that the kernel gives back when their
// process ends, however it ends. It has no functions on systems other than
// Unix.
package filelock
