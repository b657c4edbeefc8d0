// Package cgroup holds processes to limits of memory, processes and CPU, by
// control groups of version 1 (also on machines with both versions) or 2.
//
//	host, err := cgroup.Open("")                    // below this process's own group
//	group, err := host.Create("gatehouse-1f/a/b", cgroup.Limits{Memory: 1 << 30, PIDs: 64, CPUs: 1})
//	err = group.Add(pid)
//	…
//	err = group.Remove(ctx)
//
// What this process may not do or the machine does not have is an error that
// matches [runtime.ErrCannotEnforce] and names it. It works on Linux alone.
package cgroup
