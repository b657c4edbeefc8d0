//go:build e2e && linux

package isolation

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// TestPlantedLinks: a server that can write to a folder plants links there,
// for the mounts of others to follow. None does.
func TestPlantedLinks(t *testing.T) {
	outside := public(t)
	name := mark("file")
	if err := os.Mkdir(filepath.Join(outside, "inner"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "inner", name), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	boxes(t, nil, func(t *testing.T, b *box) {
		dir := writable(t)
		c := b.start(t, func(s *runtime.Spec) { s.Mounts = []runtime.Mount{{Source: dir, Target: "/rw", Writable: true}} })
		for link, to := range map[string]string{"etc": "/etc", "outside": outside, "up": "../..", "proc": "/proc/self/root"} {
			if _, err := c.try(t, "symlink", args{"path": "/rw/" + link, "to": to}); err != nil {
				t.Fatal(err)
			}
		}
		for _, source := range []string{"etc", "etc/ssl", "outside", "outside/inner", "outside/inner/" + name, "up", "proc", "proc/etc"} {
			spec := b.spec()
			spec.Mounts = []runtime.Mount{{Source: filepath.Join(dir, source), Target: "/m", Force: true}}
			i, err := b.rt.Start(bounded(t), spec)
			if err == nil {
				_ = i.Stop(bounded(t))
				t.Errorf("a mount of %s was made", source)
			} else if !strings.Contains(err.Error(), "symbolic link") {
				t.Errorf("a mount of %s: %v", source, err)
			}
		}
		// A target below what the server can write to: where its link leads
		// to inside, nothing of the host is.
		for _, link := range []string{"etc", "outside", "up"} {
			spec := b.spec()
			spec.Mounts = []runtime.Mount{
				{Source: dir, Target: "/rw", Writable: true}, {Source: filepath.Dir(program), Target: "/rw/" + link, Writable: true},
			}
			before := names(t, "/etc")
			i, err := b.rt.Start(bounded(t), spec)
			if err != nil {
				t.Logf("a mount at the link %s: %v", link, err)
			} else {
				c := &cell{i: i}
				confined(t, b, c, []attempt{{tool: "find", args: args{"from": "/", "name": name}}, {tool: "read", args: args{"path": "/etc/shadow"}}})
				c.stop(t)
			}
			if after := names(t, "/etc"); after != before {
				t.Errorf("a mount at the link %s has changed the host: %s", link, after)
			}
		}
	})
}

func names(t *testing.T, dir string) string {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range all {
		b.WriteString(e.Name() + " ")
	}
	return b.String()
}

// TestSwappedMounts: somebody exchanges the source of a mount, or a folder on
// the way to it, for a link, all the while that servers are started with it.
// Each start fails, or shows what was there.
func TestSwappedMounts(t *testing.T) {
	const seconds = 4
	name := mark("file")
	boxes(t, nil, func(t *testing.T, b *box) {
		outside := public(t)
		for _, d := range []string{outside, filepath.Join(outside, "inner")} {
			_ = os.Mkdir(d, 0o755)
			if err := os.WriteFile(filepath.Join(d, name), []byte("secret"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		dir := writable(t)
		real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
		if err := os.MkdirAll(filepath.Join(real, "inner"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(outside, link); err != nil {
			t.Fatal(err)
		}
		racer := free(t, attacker)
		racing, over := context.WithCancel(context.Background())
		go func() {
			defer over()
			if got, err := racer.try(t, "swap", args{"a": real, "b": link, "seconds": "4"}); err != nil {
				t.Errorf("the race: %s, %v", got, err)
			}
		}()
		var started, refused, late, fooled int
		for n := 0; racing.Err() == nil; n++ {
			source := real
			if n%2 == 1 {
				source = filepath.Join(real, "inner")
			}
			// Who goes by the name is fooled, sooner or later.
			if entries, err := os.ReadDir(source); err == nil && len(entries) > 0 && entries[0].Name() != "inner" || len(entries) > 1 {
				fooled++
			}
			spec := b.spec()
			target := "/m"
			if n%4 > 1 {
				target = source // nobody must look at the host's own in its stead
			}
			spec.Mounts = []runtime.Mount{{Source: source, Target: target}}
			i, err := b.rt.Start(bounded(t), spec)
			if err != nil {
				refused++
				if errors.Is(err, runtime.ErrCannotEnforce) || strings.Contains(err.Error(), "was replaced") {
					late++
				}
				continue
			}
			started++
			c := &cell{i: i}
			if got, err := c.try(t, "find", args{"from": target, "name": name}); err == nil {
				t.Errorf("the mount shows what was swapped in: %s", got)
			}
			c.stop(t)
		}
		<-racing.Done()
		t.Logf("in %d seconds %d servers were started, %d refused, %d of them after it was checked; by the name it was the link %d times", seconds, started, refused, late, fooled)
		if started+refused < 5 || fooled == 0 {
			t.Error("there was no race")
		}
	})
}
