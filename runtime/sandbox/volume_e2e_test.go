//go:build e2e && linux

package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	bed "github.com/gatehouse-mcp/gatehouse/internal/testbed"
	"github.com/gatehouse-mcp/gatehouse/internal/volume"
	"github.com/gatehouse-mcp/gatehouse/runtime"
)

const volumeSize = 32 << 20

// sized is the probe with a volume of volumeSize at /data.
func sized(owner string) runtime.Spec {
	spec := probe()
	spec.Owner = owner
	spec.Mounts = []runtime.Mount{{Volume: "state", Target: "/data", Size: volumeSize}}
	return spec
}

func mounts(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(b), "\n")
}

// TestVolumeSize: one server fills its volume; that is felt by those who share
// it alone, and outlives instance and gateway.
func TestVolumeSize(t *testing.T) {
	before := mounts(t)
	state := t.TempDir()
	r, err := New(state, nil)
	if err != nil {
		t.Fatal(err)
	}
	filler, shares, other := started(t, r, sized("alice")), started(t, r, sized("alice")), started(t, r, sized("bob"))
	if d := bed.LoopDevices(r.owner.State); len(d) != 2 {
		t.Errorf("two volumes have the devices %q", d)
	}
	if _, err := ask(t, shares, "probe/append", "/data/kept"); err != nil {
		t.Errorf("writing to a volume: %v", err)
	}
	got, err := ask(t, filler, "probe/fill", "/data/full")
	if n, _ := strconv.Atoi(got); err != nil || n < volumeSize/2 || n > volumeSize {
		t.Errorf("%s bytes fitted into %d, %v", got, volumeSize, err)
	}
	if _, err := ask(t, other, "probe/append", "/data/kept"); err != nil {
		t.Errorf("another owner: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	bed.NoLoopDevices(t, r.owner.State)

	if r, err = New(state, nil); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	spec := sized("alice")
	spec.User, spec.Dir = "4321:4321", "/data"
	next := started(t, r, spec)
	if got, err := ask(t, next, "probe/dir", nil); err != nil || got != `"/data"` {
		t.Errorf("it works in %s, %v", got, err)
	}
	if n, err := ask(t, next, "probe/fill", "/data/full2"); err != nil || len(n) > len("1000000") {
		t.Errorf("the next gateway has a volume in which %s bytes more fit, %v", n, err)
	}
	if got, err := ask(t, next, "probe/read", "/data/kept"); err == nil {
		t.Errorf("a file of another user's is read: %s", got)
	}
	spec = sized("alice")
	if got, err := ask(t, started(t, r, spec), "probe/read", "/data/kept"); err != nil || got != `"probe\n"` {
		t.Errorf("the next gateway reads %s, %v", got, err)
	}

	// What its size is, is said by all or by none.
	spec.Mounts[0].Size = 0
	if _, err := r.Start(bounded(t), spec); err == nil || !strings.Contains(err.Error(), "mount of volume state at /data: the volume has a size, of 33554432 bytes") {
		t.Errorf("without a size: %v", err)
	}
	spec.Mounts[0].Size = 2 * volumeSize
	if _, err := r.Start(bounded(t), spec); err == nil || !strings.Contains(err.Error(), "stop the servers that use it first") {
		t.Errorf("with a bigger one, while it is in use: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	bed.NoLoopDevices(t, r.owner.State)
	if after := mounts(t); after != before {
		t.Errorf("%d mounts before, %d after", before, after)
	}
}

// TestProgramInVolume: what a server finds in its volume is found there.
func TestProgramInVolume(t *testing.T) {
	r := testRuntime(t)
	spec := sized("")
	p := volume.Path(r.owner.State, spec.Name, "", "state")
	v, err := volume.OpenSized(t.Context(), r.owner.State, p, volumeSize, volume.Give{UID: 65532, GID: 65532})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	at := filepath.Join("/proc/self/fd", strconv.Itoa(int(v.Root.Fd())))
	if err := os.Mkdir(at+"/docs", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at+"/run", []byte("#!/bin/sh\nls /data/docs >&2\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	docs := t.TempDir()
	if err := os.WriteFile(docs+"/of the host", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	spec.Command = []string{"/data/run"}
	spec.Mounts = append(spec.Mounts, runtime.Mount{Source: docs, Target: "/data/docs"})
	if e := <-started(t, r, spec).Wait(); e.Code != 0 || strings.Join(e.Stderr, "|") != "of the host" {
		t.Errorf("the exit says %+v", e)
	}
	// A link that the server has put there leads nowhere.
	if err := os.Rename(at+"/docs", at+"/kept"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Start(bounded(t), spec); err == nil || !strings.Contains(err.Error(), "mount at /data/docs: it lies in the volume at /data, which has no such folder") {
		t.Errorf("a mount in a volume that has no place for it: %v", err)
	}
	for _, to := range []string{"/etc", "/tmp", "kept", "/data/kept"} {
		_ = os.Remove(at + "/docs")
		if err := os.Symlink(to, at+"/docs"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Start(bounded(t), spec); err == nil {
			t.Errorf("a mount went where a link to %s leads", to)
		}
	}
	spec.Mounts = spec.Mounts[:1]
	if err := os.Remove(at + "/run"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(docs+"/program", at+"/run"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(docs+"/program", []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if i, err := r.Start(bounded(t), spec); err == nil {
		t.Errorf("a program of the host was started through a link: %+v", <-i.Wait())
	}
	spec.Command[0] = "/data/none"
	if _, err := r.Start(bounded(t), spec); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a program that is not there: %v", err)
	}
}
