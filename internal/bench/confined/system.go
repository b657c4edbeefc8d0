//go:build e2e && linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// look is how long it is watched how busy the machine is.
const look = 150 * time.Millisecond

// busy is the part of all CPUs that is used while this program rests.
func busy(ctx context.Context) (float64, error) {
	used := func() (busy, all float64, err error) {
		b, err := os.ReadFile("/proc/stat")
		if err != nil {
			return 0, 0, err
		}
		line, _, _ := strings.Cut(string(b), "\n")
		for i, f := range strings.Fields(line)[1:min(9, len(strings.Fields(line)))] {
			v, err := strconv.ParseFloat(f, 64)
			if err != nil {
				return 0, 0, err
			}
			all += v
			if i != 3 && i != 4 { // idle, and waiting for a disk
				busy += v
			}
		}
		return busy, all, nil
	}
	b0, a0, err := used()
	if err != nil {
		return 0, err
	}
	select {
	case <-time.After(look):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	b1, a1, err := used()
	if err != nil || a1 == a0 {
		return nan, err
	}
	return (b1 - b0) / (a1 - a0), nil
}

// field is a line of a file below /proc that ends in kB, in bytes.
func field(file, name string) (int64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte(name+":")); ok {
			kb, _, _ := strings.Cut(strings.TrimSpace(string(rest)), " ")
			n, err := strconv.ParseInt(kb, 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, name)
}

// anonymous is the memory of this process that is no file's, when what is
// free has been given back.
func anonymous() (int64, error) {
	debug.FreeOSMemory() // twice: pools keep what they hold for one more cycle
	debug.FreeOSMemory()
	return field("/proc/self/status", "RssAnon")
}

// proportional is the proportional set size of processes; one that has ended
// has none.
func proportional(pids map[int]string) (sum int64, err error) {
	for pid := range pids {
		n, err := field(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss")
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// kernel is its release.
func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(b))
}
