// Package e2e tests the gateway binary from the outside, with software that
// others wrote: the official conformance suite, published servers and
// published clients.
//
// The tests are behind the build tag e2e and need the test bed, which
// `make e2e` installs into the folder GATEHOUSE_CACHE. They skip nothing:
// without the test bed they fail.
package e2e
