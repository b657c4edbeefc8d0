package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/catalog"
)

func server(name, from string) *catalog.Server {
	return &catalog.Server{Name: name, Image: from + "/" + name, Origin: catalog.Origin{Catalog: from}}
}

func names(t *testing.T, c catalog.Lister) []string {
	t.Helper()
	all, err := c.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range all {
		out = append(out, s.Origin.Catalog+"/"+s.Name)
	}
	return out
}

func TestUnionTellsWhatAnEntryHides(t *testing.T) {
	t.Parallel()
	c := catalog.Union(catalog.Of(server("a", "own"), server("b", "own")), catalog.Of(server("c", "docker"), server("a", "docker")), catalog.Of(server("a", "registry")))
	if got := names(t, c); !slices.Equal(got, []string{"own/a", "own/b", "docker/c"}) {
		t.Errorf("%v", got)
	}
	s, err := c.Resolve(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if s.Image != "own/a" || fmt.Sprint(s.Hides) != "[docker registry]" {
		t.Errorf("%s hides %v", s.Image, s.Hides)
	}
	all, _ := c.List(t.Context())
	if fmt.Sprint(all[0].Hides) != "[docker registry]" {
		t.Errorf("in the list it hides %v", all[0].Hides)
	}
	twice := catalog.Of(server("a", "one"), server("a", "two"))
	if s, _ := twice.Resolve(t.Context(), "a"); fmt.Sprint(s.Hides) != "[two]" {
		t.Errorf("two in one catalog: %v", s.Hides)
	}
}

type broken struct{ catalog.Catalog }

func (broken) Resolve(context.Context, string) (*catalog.Server, error) {
	return nil, errors.New("away")
}
func (broken) List(context.Context) ([]*catalog.Server, error) { return nil, errors.New("away") }

// A name must not be answered by a later catalog because an earlier one is away.
func TestUnionDoesNotFallThrough(t *testing.T) {
	t.Parallel()
	c := catalog.Union(broken{}, catalog.Of(server("a", "evil")))
	if s, err := c.Resolve(t.Context(), "a"); err == nil {
		t.Errorf("got %v", s)
	}
	if _, err := c.List(t.Context()); err == nil {
		t.Error("the list leaves out a catalog")
	}
}

func TestNotFoundSuggests(t *testing.T) {
	t.Parallel()
	c := catalog.Union(catalog.Of(server("github-official", "d"), server("GitHub", "d")), catalog.Of(server("x", "d")))
	_, err := c.Resolve(t.Context(), "github")
	if !errors.Is(err, catalog.ErrNotFound) || !strings.Contains(err.Error(), "did you mean GitHub, github-official?") {
		t.Errorf("%v", err)
	}
}

func TestFilterHidesFromBoth(t *testing.T) {
	t.Parallel()
	c := catalog.Filter(catalog.Of(server("a", "x"), server("b", "x")), func(s *catalog.Server) bool { return s.Name == "b" })
	if got := names(t, c); !slices.Equal(got, []string{"x/b"}) {
		t.Errorf("%v", got)
	}
	if _, err := c.Resolve(t.Context(), "a"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestOverlayChangesACopy(t *testing.T) {
	t.Parallel()
	base := catalog.Of(server("a", "x"))
	c := catalog.Overlay(base, map[string]func(*catalog.Server){"a": func(s *catalog.Server) {
		s.Image, s.Name, s.Asks.User = "mirror/a", "other", "1000"
	}})
	s, err := c.Resolve(t.Context(), "a")
	if err != nil || s.Image != "mirror/a" || s.Name != "a" || !s.Overlaid || s.Origin.Catalog != "x" {
		t.Errorf("%+v, %v", s, err)
	}
	if s, _ := base.Resolve(t.Context(), "a"); s.Image != "x/a" || s.Overlaid {
		t.Errorf("the catalog below changed: %+v", s)
	}
}

// source counts how often it is asked.
type source struct {
	mu    sync.Mutex
	asked int
	err   error
	hold  chan struct{}
}

func (s *source) List(ctx context.Context) ([]*catalog.Server, error) {
	s.mu.Lock()
	s.asked++
	n, err := s.asked, s.err
	s.mu.Unlock()
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	return []*catalog.Server{server("a", fmt.Sprint(n))}, nil
}

func (s *source) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func TestCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &source{}
		c := catalog.Cache(src, &catalog.CacheOptions{For: time.Minute, Stale: time.Hour})
		image := func() string {
			s, err := c.Resolve(t.Context(), "a")
			if err != nil {
				return err.Error()
			}
			return s.Image
		}
		check := func(what, want string) {
			t.Helper()
			if got := image(); got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		check("first", "1/a")
		check("fresh", "1/a")
		time.Sleep(time.Minute)
		check("old", "2/a")
		src.fail(errors.New("away"))
		time.Sleep(2 * time.Minute)
		check("source away", "2/a")
		if _, err := c.State(); err == nil {
			t.Error("a stale list is not said to be stale")
		}
		asked := src.asked
		check("source away a moment ago", "2/a")
		if src.asked != asked {
			t.Error("a source that is away is asked for every call")
		}
		time.Sleep(time.Hour)
		check("too stale", "away")
		src.fail(nil)
		check("back", fmt.Sprint(src.asked+1)+"/a")
		c.Forget()
		check("forgotten", fmt.Sprint(src.asked+1)+"/a")
	})
}

func TestCacheAsksOnceForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &source{hold: make(chan struct{})}
		c := catalog.Cache(src, nil)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := c.List(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			if _, err := c.List(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("who gives up got %v", err)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(src.hold)
		wg.Wait()
		if src.asked > 2 { // one more when the caller that asks is the one that gives up
			t.Errorf("asked %d times", src.asked)
		}
	})
}

func TestCloneSharesNothing(t *testing.T) {
	t.Parallel()
	s := server("a", "x")
	s.Tags = []string{"t"}
	s.Settings = []catalog.Settings{{Name: "a", Schema: []byte(`{"type":"object"}`)}}
	c := s.Clone()
	if !reflect.DeepEqual(s, c) {
		t.Errorf("%+v\n%+v", s, c)
	}
	c.Tags[0] = "u"
	if s.Tags[0] != "t" {
		t.Error("they share a slice")
	}
}

func ExampleUnion() {
	own := catalog.Of(&catalog.Server{Name: "grafana", Image: "registry.internal/grafana", Origin: catalog.Origin{Catalog: "own"}})
	public := catalog.Of(&catalog.Server{Name: "grafana", Image: "mcp/grafana", Origin: catalog.Origin{Catalog: "docker-mcp"}})
	s, err := catalog.Union(own, public).Resolve(context.Background(), "grafana")
	fmt.Println(s.Image, s.Hides, err)
	// Output: registry.internal/grafana [docker-mcp] <nil>
}
