package inject

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// TestRefresh: a file has the secret as it is, a minute later at the latest.
func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vault{values: map[string]string{"A": "one", "B": "other", "C": "bound-to-a-host"}}
		var asked atomic.Int64
		lease := secrets.ProviderFunc(func(ctx context.Context, r secrets.Ref) (secrets.Secret, error) {
			asked.Add(1)
			s, err := v.Resolve(ctx, r)
			return s.Until(time.Now().Add(10 * time.Second)), err
		})
		var told []string
		s, err := New(t.Context(), runtime.Spec{Name: "test", Secrets: []runtime.SecretUse{
			{Name: "bound", Value: secrets.Template("${C}"), File: "/c", Source: v, Hosts: []runtime.SecretHost{{Host: "api.example"}}},
			{Name: "a", Value: secrets.Template("<${A}>"), File: "/a", Source: v},
			{Name: "plain", Value: secrets.Plain("x"), File: "/p", Source: v},
			{Name: "b", Value: secrets.Template("${B}"), File: "/b", Source: lease},
		}}, func(i runtime.Injection) { told = append(told, fmt.Sprint(i.Secret, i.Target, i.Reason)) })
		if err != nil {
			t.Fatal(err)
		}
		var (
			mu    sync.Mutex
			wrote []string
			fault error
		)
		failing := func(err error) {
			mu.Lock()
			defer mu.Unlock()
			fault = err
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Refresh(ctx, func(n int, f File) error {
				if s.Files()[n].Path != f.Path {
					t.Errorf("file %d is %s", n, f.Path)
				}
				mu.Lock()
				defer mu.Unlock()
				wrote = append(wrote, f.Path+" "+f.Content.Reveal())
				return fault
			})
		}()
		step := func(d time.Duration, want string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if got := strings.Join(wrote, ", "); got != want {
				t.Errorf("wrote %q, want %q", got, want)
			}
			wrote = nil
		}
		step(5*time.Minute, "")
		if n := asked.Load(); n < 30 || n > 32 {
			t.Errorf("asked %d times for a lease of ten seconds", n)
		}
		v.set("B", "rotated")
		v.set("C", "rotated-too")
		step(11*time.Second, "/b rotated")
		v.set("A", "two")
		step(time.Minute, "/a <two>")
		v.set("A", "")
		step(time.Minute, "")
		failing(errors.New("no room"))
		v.set("A", "three")
		step(11*time.Second, "/a <three>")
		failing(nil)
		step(11*time.Second, "/a <three>")
		cancel()
		<-done
		all := strings.Join(told, "\n")
		for _, want := range []string{"a/athe file stays as it was: secret a is missing", "a/athe file stays as it was: no room"} {
			if !strings.Contains(all, want) {
				t.Errorf("not told: %s; but %s", want, all)
			}
		}
		if strings.Contains(all, "three") {
			t.Errorf("told: %s", all)
		}
	})
}
