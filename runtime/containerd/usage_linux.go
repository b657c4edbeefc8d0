package containerd

import (
	"context"
	"fmt"
	"time"

	v1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	v2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/typeurl/v2"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// metrics asks the shim for what the control groups have counted. It can be
// asked until the task is deleted.
func (i *instance) metrics(ctx context.Context) (any, error) {
	resp, err := i.r.client.TaskService().Metrics(i.r.within(ctx), &tasks.MetricsRequest{Filters: []string{"id==" + i.id}})
	if err != nil {
		return nil, i.r.native(err)
	}
	if len(resp.Metrics) == 0 || resp.Metrics[0].Data == nil {
		return nil, fmt.Errorf("containerd has no figures of the container %s", i.id)
	}
	return typeurl.UnmarshalAny(resp.Metrics[0].Data)
}

// Usage implements [runtime.Meter].
func (i *instance) Usage(ctx context.Context) (runtime.Usage, error) {
	m, err := i.metrics(ctx)
	if err != nil {
		return runtime.Usage{}, err
	}
	var u runtime.Usage
	switch m := m.(type) {
	case *v1.Metrics:
		u.CPU = time.Duration(m.GetCPU().GetUsage().GetTotal())
		u.Memory = int64(m.GetMemory().GetUsage().GetUsage()) - int64(m.GetMemory().GetTotalInactiveFile())
		u.PIDs = int64(m.GetPids().GetCurrent())
	case *v2.Metrics:
		u.CPU = time.Duration(m.GetCPU().GetUsageUsec()) * time.Microsecond
		u.Memory = int64(m.GetMemory().GetUsage()) - int64(m.GetMemory().GetInactiveFile())
		u.PIDs = int64(m.GetPids().GetCurrent())
	default:
		return runtime.Usage{}, fmt.Errorf("containerd tells figures of an unknown kind, %T", m)
	}
	u.Memory = max(u.Memory, 0)
	return u, nil
}

// measureOOM notes whether the kernel has killed for memory.
func (i *instance) measureOOM() {
	ctx, cancel := context.WithTimeout(context.Background(), callGrace)
	defer cancel()
	m, err := i.metrics(ctx)
	if err != nil {
		return
	}
	var kills uint64
	switch m := m.(type) {
	case *v1.Metrics:
		kills = m.GetMemoryOomControl().GetOomKill()
	case *v2.Metrics:
		kills = m.GetMemoryEvents().GetOomKill()
	}
	if kills > 0 {
		i.mu.Lock()
		i.oom = true
		i.mu.Unlock()
	}
}
