package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strings"
)

// Redacted is what a secret shows as.
const Redacted = "[redacted]"

// ErrNotFound is matched by the error of a [Provider] that does not have a
// secret.
var ErrNotFound = errors.New("secret not found")

// Secret is a resolved secret. It redacts itself in fmt, slog, JSON and
// text; [Secret.Reveal] is the only way to its bytes.
type Secret struct{ v *string }

// NewSecret makes a Secret of a value.
func NewSecret(value string) Secret { return Secret{&value} }

// Reveal returns the value. Search for this name to find every place where a
// secret leaves its wrapping.
func (s Secret) Reveal() string {
	if s.v == nil {
		return ""
	}
	return *s.v
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
// or NAME as in ${NAME}.
type Ref string

// Provider resolves references. It is safe for concurrent use. A missing
// secret is an error that matches [ErrNotFound].
type Provider interface {
	Resolve(ctx context.Context, ref Ref) (Secret, error)
}

// ProviderFunc makes a [Provider] of a function.
type ProviderFunc func(ctx context.Context, ref Ref) (Secret, error)

// Resolve implements [Provider].
func (f ProviderFunc) Resolve(ctx context.Context, ref Ref) (Secret, error) { return f(ctx, ref) }

// Value is a configured value in which references may stand: plain text,
// ${NAME}, or a whole secret://… reference. It prints its template, which
// holds no secret, until it is resolved; then it prints redacted.
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

// Refs returns the references of v in order.
func (v Value) Refs() []Ref {
	if v.resolved != nil {
		return nil
	}
	var refs []Ref
	_, _ = expand(v.template, func(r Ref) (string, error) { refs = append(refs, r); return "", nil })
	return refs
}

// Resolve returns v with every reference replaced. p may be nil when there
// are none.
func (v Value) Resolve(ctx context.Context, p Provider) (Value, error) {
	if v.resolved != nil {
		return v, nil
	}
	out, err := expand(v.template, func(r Ref) (string, error) {
		if p == nil {
			return "", fmt.Errorf("%s: no secrets provider is configured: %w", r, ErrNotFound)
		}
		s, err := p.Resolve(ctx, r)
		if err != nil {
			return "", fmt.Errorf("%s: %w", r, err)
		}
		return s.Reveal(), nil
	})
	if err != nil {
		return Value{}, err
	}
	s := NewSecret(out)
	return Value{template: v.template, resolved: &s}, nil
}

// Reveal returns the resolved text. An unresolved Value without references
// is its text; one with references is empty.
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
	if strings.Contains(v.template, "${") || strings.HasPrefix(v.template, "secret://") {
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

// expand replaces the references in s.
func expand(s string, f func(Ref) (string, error)) (string, error) {
	if rest, ok := strings.CutPrefix(s, "secret://"); ok {
		return f(Ref(rest))
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
		r, err := f(Ref(s[i+2 : i+end]))
		if err != nil {
			return "", err
		}
		b.WriteString(r)
		s = s[i+end+1:]
	}
}
