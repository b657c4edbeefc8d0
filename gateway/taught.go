package gateway

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// declared is the gateway's provider of secrets narrowed to what one server
// declares. It asks the provider of the newest configuration, and tells the
// interceptors what it hands out.
type declared struct {
	g    *Gateway
	refs []secrets.Ref // nil: what the launcher asks for, which is what its definition names
}

var _ secrets.Provider = declared{}

// Resolve implements [secrets.Provider].
func (d declared) Resolve(ctx context.Context, ref secrets.Ref) (secrets.Secret, error) {
	if d.refs != nil && !slices.Contains(d.refs, ref) {
		return secrets.Secret{}, fmt.Errorf("%s is not among the secrets that this server declares: %w", ref, secrets.ErrNotFound)
	}
	snap := d.g.snap.Load()
	if snap.opts.Secrets == nil {
		return secrets.Secret{}, fmt.Errorf("no secrets provider is configured: %w", secrets.ErrNotFound)
	}
	s, err := snap.opts.Secrets.Resolve(ctx, ref)
	if err == nil {
		d.g.taught.teach(snap.learners, lesson{s, ref.Key(), secrets.KeyOf(ctx)}, ref)
	}
	return s, err
}

// taught remembers which secrets the interceptors were told, so that one that
// comes with a reload learns them too.
type taught struct {
	mu      sync.Mutex
	lessons map[taughtKey]lesson
	order   []taughtKey // oldest first
}

type taughtKey struct {
	ref secrets.Ref
	key string
}

// lesson is a secret with the names that it goes by.
type lesson struct {
	secret secrets.Secret
	name   string // in the provider
	key    string // where it is used; may be empty
}

// maxTaught bounds what is remembered. What is over it was still told.
const maxTaught = 4096

// teach tells the learners of a secret, once for each value. They know it
// when teach returns.
func (t *taught) teach(to []interceptor.Learner, l lesson, ref secrets.Ref) {
	k := taughtKey{ref, l.key}
	t.mu.Lock()
	defer t.mu.Unlock()
	old, known := t.lessons[k]
	if known && old.secret.Reveal() == l.secret.Reveal() {
		return
	}
	for _, i := range to {
		l.tell(i)
	}
	if t.lessons == nil {
		t.lessons = make(map[taughtKey]lesson)
	}
	if !known {
		if len(t.order) >= maxTaught {
			delete(t.lessons, t.order[0])
			t.order = t.order[1:]
		}
		t.order = append(t.order, k)
	}
	t.lessons[k] = l
}

// repeat tells learners everything that is remembered.
func (t *taught) repeat(to []interceptor.Learner) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.order {
		for _, i := range to {
			t.lessons[k].tell(i)
		}
	}
}

func (l lesson) tell(i interceptor.Learner) {
	if l.key == "" || l.key == l.name {
		i.Learn(l.secret, l.name)
		return
	}
	i.Learn(l.secret, l.name, l.key)
}
