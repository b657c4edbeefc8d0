package secrets_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

const canary = "c4nary-value"

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	s := secrets.NewSecret(canary).Until(time.Unix(1, 0))
	v, err := secrets.Template("x ${A}").Resolve(t.Context(), store{"A": canary})
	if err != nil {
		t.Fatal(err)
	}
	holder := struct {
		S      secrets.Secret
		V      secrets.Value
		P      *secrets.Secret
		hidden secrets.Secret
	}{s, v, &s, s}
	b, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "s", s, "v", v, "h", holder)
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "s", s, "v", v, "h", holder)
	out := []string{string(b), log.String(), fmt.Errorf("e: %w", fmt.Errorf("%v", s)).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		out = append(out, fmt.Sprintf(verb, s), fmt.Sprintf(verb, v), fmt.Sprintf(verb, holder), fmt.Sprintf(verb, &holder))
	}
	for _, o := range out {
		if strings.Contains(o, canary) || strings.Contains(o, fmt.Sprintf("%x", canary)) {
			t.Errorf("it shows in %s", o)
		}
	}
}

// store is a provider of fixed secrets.
type store map[secrets.Ref]string

func (s store) Resolve(_ context.Context, ref secrets.Ref) (secrets.Secret, error) {
	v, ok := s[ref]
	if !ok {
		return secrets.Secret{}, fmt.Errorf("set %s: %w", ref, secrets.ErrNotFound)
	}
	return secrets.NewSecret(v), nil
}

func (s store) List(context.Context) ([]secrets.Ref, error) {
	var all []secrets.Ref
	for r := range s {
		all = append(all, r)
	}
	return all, nil
}

func TestValue(t *testing.T) {
	t.Parallel()
	p := store{"A": "1", "vault/kv/x#f": "2", "se/docker/mcp/x.y": "3", "EMPTY": ""}
	for _, c := range []struct{ in, want, fault string }{
		{"plain", "plain", ""},
		{"a ${A} b", "a 1 b", ""},
		{"$${A} ${A}", "${A} 1", ""},
		{"secret://vault/kv/x#f", "2", ""},
		{"se://docker/mcp/x.y", "3", ""},
		{"Bearer ${secret://vault/kv/x#f}", "Bearer 2", ""},
		{"${NONE:-text}", "text", ""},
		{"${NONE:-}", "", ""},
		{"${A:-text}", "1", ""},
		{"${EMPTY:-text}", "", ""},
		{"${NONE}", "", "NONE: set NONE: secret not found"},
		{"${A", "", `"${A" has a ${ without }`},
	} {
		v, err := secrets.Template(c.in).Resolve(t.Context(), p)
		if got := fmt.Sprint(err); err != nil && got != c.fault || err == nil && c.fault != "" {
			t.Errorf("%s: %v", c.in, err)
		}
		if v.Reveal() != c.want {
			t.Errorf("%s: %q", c.in, v.Reveal())
		}
	}
	broken := secrets.ProviderFunc(func(context.Context, secrets.Ref) (secrets.Secret, error) {
		return secrets.Secret{}, errors.New("locked")
	})
	if _, err := secrets.Template("${A:-text}").Resolve(t.Context(), broken); err == nil {
		t.Error("a locked provider counts as one that does not have the secret")
	}
}

func TestValueEndsWithItsFirstPart(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	p := secrets.ProviderFunc(func(_ context.Context, r secrets.Ref) (secrets.Secret, error) {
		if r == "A" {
			return secrets.NewSecret("a"), nil
		}
		return secrets.NewSecret("b").Until(at), nil
	})
	v, err := secrets.Template("${A}:${B}").Resolve(t.Context(), p)
	if err != nil || !v.Secret().Expires().Equal(at) {
		t.Errorf("%v, %v", v.Secret().Expires(), err)
	}
}

func TestRef(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, path, field, key string }{
		{"A", "A", "", "A"},
		{"kv/app/db#password", "kv/app/db", "password", "password"},
		{"kv/app/db", "kv/app/db", "", "db"},
	} {
		path, field := secrets.Ref(c.in).Cut()
		if key := secrets.Ref(c.in).Key(); path != c.path || field != c.field || key != c.key {
			t.Errorf("%s: %q %q %q", c.in, path, field, key)
		}
	}
}

func TestChain(t *testing.T) {
	t.Parallel()
	locked := errors.New("locked")
	broken := secrets.ProviderFunc(func(context.Context, secrets.Ref) (secrets.Secret, error) { return secrets.Secret{}, locked })
	c := secrets.Chain(store{"A": "1"}, store{"A": "2", "B": "3"})
	for ref, want := range map[secrets.Ref]string{"A": "1", "B": "3"} {
		if s, err := c.Resolve(t.Context(), ref); err != nil || s.Reveal() != want {
			t.Errorf("%s: %q, %v", ref, s.Reveal(), err)
		}
	}
	if _, err := c.Resolve(t.Context(), "C"); !errors.Is(err, secrets.ErrNotFound) {
		t.Error(err)
	}
	if _, err := secrets.Chain(broken, store{"A": "1"}).Resolve(t.Context(), "A"); !errors.Is(err, locked) {
		t.Errorf("a broken provider was passed over: %v", err)
	}
	if _, err := secrets.Chain().Resolve(t.Context(), "A"); !errors.Is(err, secrets.ErrNotFound) {
		t.Error(err)
	}
	if refs, err := c.(secrets.Lister).List(t.Context()); err != nil || fmt.Sprint(refs) != "[A B]" {
		t.Errorf("%v, %v", refs, err)
	}
}

func TestCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		var fail atomic.Bool
		lease := 10 * time.Minute
		c := secrets.NewCache(secrets.ProviderFunc(func(ctx context.Context, r secrets.Ref) (secrets.Secret, error) {
			n := asked.Add(1)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return secrets.Secret{}, ctx.Err()
			}
			if fail.Load() {
				return secrets.Secret{}, errors.New("away")
			}
			return secrets.NewSecret(fmt.Sprintf("%s%d", r, n)).Until(time.Now().Add(lease)), nil
		}), &secrets.CacheOptions{TTL: time.Minute})
		want := func(value string, questions int32) {
			t.Helper()
			s, err := c.Resolve(t.Context(), "A")
			if err != nil || s.Reveal() != value || asked.Load() != questions {
				t.Errorf("%q after %d questions, %v", s.Reveal(), asked.Load(), err)
			}
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := c.Resolve(impatient, "A"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { want("A1", 1) })
		}
		wg.Wait()
		time.Sleep(59 * time.Second)
		want("A1", 1)
		time.Sleep(time.Second)
		want("A2", 2)
		c.Forget("A")
		want("A3", 3)
		lease = time.Second
		c.Forget("A")
		want("A4", 4)
		time.Sleep(time.Second)
		fail.Store(true)
		if s, err := c.Resolve(t.Context(), "A"); err == nil {
			t.Errorf("%q was given after its end", s.Reveal())
		}
		fail.Store(false)
		want("A6", 6)
	})
}
