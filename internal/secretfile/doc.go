// Package secretfile makes the files in which servers read secrets: in memory
// that no swap gets where the kernel can promise that, one file system for each
// file, which has no place beside the one at which the server sees the file.
// When the last mount namespace that shows it is gone, so is the file.
package secretfile

// Largest is how many bytes a file has at most.
const Largest = 1 << 20
