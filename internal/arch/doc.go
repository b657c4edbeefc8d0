// Package arch holds the rules of this code base as tests: which package may
// import which and why, what library code never does (read the environment,
// write to stdout, keep globals), how files and packages are named, and that
// the code in the README is code that compiles.
//
// A rule that stands in the way of something good is changed here, with its
// reason, in the same commit.
package arch
