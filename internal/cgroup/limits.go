package cgroup

import "time"

// Limits of a group. All are positive.
type Limits struct {
	Memory int64   // bytes, without any swap
	PIDs   int64   // processes and threads
	CPUs   float64 // cores
}

// Usage is what the processes of a group use.
type Usage struct {
	CPU    time.Duration // since the group was made
	Memory int64         // bytes now, without files that nobody has used lately
	PIDs   int64         // processes and threads now
}

// period is the time, in microseconds, in which a share of CPU is given out.
const period = 100_000

// quota is the share of a period, in microseconds. The kernel takes no less
// than a millisecond.
func quota(cpus float64) int64 { return max(int64(cpus*period), 1000) }
