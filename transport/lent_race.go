//go:build race

package transport

// poison overwrites memory that was given back, so that the tests with the
// race detector see who still reads it.
const poison = true
