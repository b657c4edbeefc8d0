package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// starter tells which Spec it was asked to start.
type starter struct{ spec Spec }

func (s *starter) Start(_ context.Context, spec Spec) (Instance, error) {
	s.spec = spec
	return nil, nil
}

func TestSecretsOfASpec(t *testing.T) {
	t.Parallel()
	var asked []string
	vault := secrets.ProviderFunc(func(ctx context.Context, r secrets.Ref) (secrets.Secret, error) {
		asked = append(asked, string(r)+" as "+secrets.KeyOf(ctx))
		if r == "TOKEN" {
			return secrets.NewSecret("hidden"), nil
		}
		return secrets.Secret{}, fmt.Errorf("%w: set it with `secret set %s`", secrets.ErrNotFound, r)
	})
	of := func(uses ...SecretUse) (Spec, error) {
		var rt starter
		_, err := Of(&rt, Spec{Env: map[string]secrets.Value{"PLAIN": secrets.Plain("1")}, Secrets: uses}).Launch(t.Context(), Key{Server: "x", Secrets: vault})
		return rt.spec, err
	}
	token, none := secrets.Template("${TOKEN}"), secrets.Template("${NONE}")
	hosts := []SecretHost{{Host: "api.example"}}
	spec, err := of(
		SecretUse{Name: "a", Value: token, Env: "A"},
		SecretUse{Name: "b", Value: none, Env: "B", Optional: true},
		SecretUse{Name: "c", Value: token, File: "/c"},
		SecretUse{Name: "d", Value: none, Env: "D", Hosts: hosts},
	)
	if err != nil {
		t.Fatal(err)
	}
	if spec.Env["A"].Reveal() != "hidden" || len(spec.Env) != 2 {
		t.Errorf("the environment is %v", spec.Env)
	}
	if len(spec.Secrets) != 2 || spec.Secrets[0].Source == nil || len(spec.Secrets[0].Value.Refs()) != 1 {
		t.Errorf("left to the driver: %+v", spec.Secrets)
	}
	if got := strings.Join(asked, ", "); got != "TOKEN as A, NONE as B" {
		t.Errorf("asked for %s", got)
	}
	if d := spec.Definition(); strings.Contains(d, "hidden") || !strings.Contains(d, "${TOKEN}") || !strings.Contains(d, "api.example") {
		t.Errorf("the definition is %s", d)
	}
	for want, u := range map[string]SecretUse{
		"secret x is missing: set it in one of the gateway's sources of secrets, or make it optional: NONE: secret not found: set it with `secret set NONE`": {Name: "x", Value: none, Env: "X"},
		"PLAIN is set twice": {Name: "x", Value: token, Env: "PLAIN"},
	} {
		if _, err := of(u); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := of(SecretUse{Name: "x", Value: none, Env: "X"}); !errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
