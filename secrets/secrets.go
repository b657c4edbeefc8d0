package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strings"
	"time"
)

// Redacted is what a secret shows as.
const Redacted = "[redacted]"

// ErrNotFound is matched by the error of a [Provider] that does not have a
// secret.
var ErrNotFound = errors.New("secret not found")

// Secret is a resolved secret. It redacts itself in fmt, slog, JSON, YAML and
// text; [Secret.Reveal] is the only way to its bytes.
type Secret struct{ v *held }

// held keeps the value behind a second pointer: fmt shows what the first one
// points to, where a struct has a Secret in an unexported field and the verb
// is none for pointers, but follows no further.
type held struct {
	value   *string
	expires time.Time
}

// NewSecret makes a Secret of a value.
func NewSecret(value string) Secret { return Secret{&held{value: &value}} }

// Reveal returns the value. Search for this name to find every place where a
// secret leaves its wrapping.
func (s Secret) Reveal() string {
	if s.v == nil {
		return ""
	}
	return *s.v.value
}

// Until returns the same secret with the time at which it ends, such as that
// of a lease.
func (s Secret) Until(t time.Time) Secret {
	v := s.Reveal()
	return Secret{&held{&v, t}}
}

// Expires returns when the secret ends; the zero time when that is not known.
func (s Secret) Expires() time.Time {
	if s.v == nil {
		return time.Time{}
	}
	return s.v.expires
}

// Format implements [fmt.Formatter] for every verb.
func (s Secret) Format(f fmt.State, verb rune) { _, _ = f.Write([]byte(Redacted)) }

// String implements [fmt.Stringer].
func (s Secret) String() string { return Redacted }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText implements [encoding.TextMarshaler], for JSON and YAML too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// Ref names a secret: PROVIDER/PATH#FIELD as in secret://PROVIDER/PATH#FIELD,
// or NAME as in ${NAME}. What a [Provider] gets is the part that stands behind
// its own name: PATH#FIELD, or NAME.
type Ref string

// Cut parts what a provider gets into the path and the field, which is empty
// when the reference names none.
func (r Ref) Cut() (path, field string) {
	path, field, _ = strings.Cut(string(r), "#")
	return path, field
}

// Key is the name that the secret goes by in what it came from: the field, or
// the last part of the path.
func (r Ref) Key() string {
	path, field := r.Cut()
	if field != "" {
		return field
	}
	return path[strings.LastIndexByte(path, '/')+1:]
}

// Provider resolves references. It is safe for concurrent use. A missing
// secret is an error that matches [ErrNotFound] and says how to set it; a
// provider that cannot tell (it is locked, or does not answer) returns another
// error. No error holds a value.
//
// What it can do beside that it shows by the interfaces [Lister] and [Store],
// and by [io.Closer].
type Provider interface {
	Resolve(ctx context.Context, ref Ref) (Secret, error)
}

// ProviderFunc makes a [Provider] of a function.
type ProviderFunc func(ctx context.Context, ref Ref) (Secret, error)

// Resolve implements [Provider].
func (f ProviderFunc) Resolve(ctx context.Context, ref Ref) (Secret, error) { return f(ctx, ref) }

// Lister is the optional interface of a [Provider] that can tell what it has.
type Lister interface {
	// List returns the references of all secrets, sorted, as Resolve takes
	// them.
	List(ctx context.Context) ([]Ref, error)
}

// Store is the optional interface of a [Provider] that can be written to.
type Store interface {
	// Set adds or replaces a secret. It is kept when Set returns.
	Set(ctx context.Context, ref Ref, s Secret) error
	// Remove forgets a secret. One that is missing is an error that matches
	// [ErrNotFound].
	Remove(ctx context.Context, ref Ref) error
}

// keyed is the key of a context under which [WithKey] keeps a name.
type keyed struct{}

// WithKey returns a context that tells a [Provider] under which name the
// secret will be used, such as that of an environment variable or a header.
func WithKey(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, keyed{}, name)
}

// KeyOf returns the name of [WithKey]; empty when there is none.
func KeyOf(ctx context.Context) string {
	name, _ := ctx.Value(keyed{}).(string)
	return name
}

// Value is a configured value in which references may stand: plain text,
// ${NAME}, ${NAME:-TEXT} with a text for when the secret is missing,
// ${secret://PROVIDER/PATH#FIELD}, or a whole reference: the same without the
// braces, or se://PATH as in the catalogs of Docker, which is secret://se/PATH. It prints its template, which holds no
// secret, until it is resolved; then it prints redacted.
type Value struct {
	template string
	resolved *Secret
}

// Plain makes a Value of text that is no secret and holds no reference.
func Plain(text string) Value {
	s := NewSecret(text)
	return Value{template: escape(text), resolved: &s}
}

// Template makes a Value of text in which ${NAME} and secret:// references
// are resolved later. $${ stands for a plain ${.
func Template(text string) Value { return Value{template: text} }

func escape(s string) string { return strings.ReplaceAll(s, "${", "$${") }

// IsZero reports whether v is the zero Value, which nobody has set.
func (v Value) IsZero() bool { return v.template == "" && v.resolved == nil }

// Refs returns the references of v in order.
func (v Value) Refs() []Ref {
	if v.resolved != nil {
		return nil
	}
	var refs []Ref
	_, _ = expand(v.template, func(r Ref, _ *string) (string, error) { refs = append(refs, r); return "", nil })
	return refs
}

// Resolve returns v with every reference replaced. p may be nil when there
// are none.
func (v Value) Resolve(ctx context.Context, p Provider) (Value, error) {
	if v.resolved != nil {
		return v, nil
	}
	var expires time.Time
	out, err := expand(v.template, func(r Ref, missing *string) (string, error) {
		s, err := Secret{}, fmt.Errorf("no secrets provider is configured: %w", ErrNotFound)
		if p != nil {
			s, err = p.Resolve(ctx, r)
		}
		if missing != nil && errors.Is(err, ErrNotFound) {
			return *missing, nil
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", r, err)
		}
		if t := s.Expires(); !t.IsZero() && (expires.IsZero() || t.Before(expires)) {
			expires = t
		}
		return s.Reveal(), nil
	})
	if err != nil {
		return Value{}, err
	}
	s := NewSecret(out).Until(expires)
	return Value{template: v.template, resolved: &s}, nil
}

// Secret returns the resolved text as a secret, with the time at which the
// first of its parts ends. An unresolved Value without references is its
// text; one with references is empty.
func (v Value) Secret() Secret {
	if v.resolved != nil {
		return *v.resolved
	}
	return NewSecret(v.Reveal())
}

// Reveal returns the text of [Value.Secret].
func (v Value) Reveal() string {
	if v.resolved != nil {
		return v.resolved.Reveal()
	}
	if len(v.Refs()) > 0 {
		return ""
	}
	s, _ := expand(v.template, nil)
	return s
}

// String shows the template for a value with references and the redaction
// mark with a fingerprint-free length for plain ones: a plain value may be a
// credential that somebody wrote into a file.
func (v Value) String() string {
	if _, whole := reference(v.template); whole || strings.Contains(v.template, "${") {
		return v.template
	}
	return Redacted
}

// Format implements [fmt.Formatter] for every verb.
func (v Value) Format(f fmt.State, verb rune) { _, _ = f.Write([]byte(v.String())) }

// LogValue implements [slog.LogValuer].
func (v Value) LogValue() slog.Value { return slog.StringValue(v.String()) }

// MarshalJSON shows the template where it is a reference; of a plain value it
// shows only a short checksum, so that definitions can be compared.
func (v Value) MarshalJSON() ([]byte, error) {
	if s := v.String(); s != Redacted {
		return json.Marshal(s)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(v.template))
	return json.Marshal(fmt.Sprintf("%s %08x", Redacted, h.Sum32()))
}

// reference reads a text that is one reference as a whole.
func reference(s string) (Ref, bool) {
	if rest, ok := strings.CutPrefix(s, "secret://"); ok {
		return Ref(rest), true
	}
	if rest, ok := strings.CutPrefix(s, "se://"); ok {
		return Ref("se/" + rest), true
	}
	return "", false
}

// expand replaces the references in s. f gets the text for a missing secret,
// where there is one.
func expand(s string, f func(r Ref, missing *string) (string, error)) (string, error) {
	if r, ok := reference(s); ok {
		return f(r, nil)
	}
	var b strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			b.WriteString(s)
			return b.String(), nil
		}
		if i > 0 && s[i-1] == '$' {
			b.WriteString(s[:i-1])
			b.WriteString("${")
			s = s[i+2:]
			continue
		}
		end := strings.IndexByte(s[i:], '}')
		if end < 0 {
			return "", fmt.Errorf("%q has a ${ without }", s)
		}
		b.WriteString(s[:i])
		name, text, has := strings.Cut(s[i+2:i+end], ":-")
		var missing *string
		if has {
			missing = &text
		}
		r, err := f(Ref(strings.TrimPrefix(name, "secret://")), missing)
		if err != nil {
			return "", err
		}
		b.WriteString(r)
		s = s[i+end+1:]
	}
}
