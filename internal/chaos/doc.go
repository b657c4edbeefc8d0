// Package chaos holds the fault test of the whole gateway: many sessions over
// HTTP, servers that are killed and clients that are cut off at random, under
// the race detector, with every reply checked and everything counted at the
// end.
//
//	go test -race -tags e2e ./internal/chaos -chaos 1m
package chaos
