package runtimetest

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// known is a provider of one secret.
const known = "a-secret-of-the-suite"

func provider(_ context.Context, r secrets.Ref) (secrets.Secret, error) {
	if r != "KNOWN" {
		return secrets.Secret{}, secrets.ErrNotFound
	}
	return secrets.NewSecret(known), nil
}

// with adds a secret to a Spec.
func with(u runtime.SecretUse) func(*runtime.Spec) {
	return func(spec *runtime.Spec) {
		u.Name, u.Value, u.Source = "known", secrets.Template("${KNOWN}"), secrets.ProviderFunc(provider)
		spec.Network.Allow = nil
		for _, h := range u.Hosts {
			spec.Network.Allow = append(spec.Network.Allow, h.Host+":443")
		}
		spec.Secrets = []runtime.SecretUse{u, {
			Name: "absent", Value: secrets.Template("${ABSENT}"), Env: "ABSENT", File: "/run/secrets/absent", Optional: true, Source: u.Source,
		}}
		if u.File == "" && len(u.Hosts) == 0 {
			spec.Secrets = spec.Secrets[:1] // not even a file that is absent
		}
	}
}

func environ(t *testing.T, i runtime.Instance) (all []string) {
	t.Helper()
	if err := ask(t, i, "probe/env", nil, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// secretEnv: the weakest form comes by way of the launcher.
func (s *suite) secretEnv(t *testing.T) {
	spec := s.Probe(t)
	with(runtime.SecretUse{Env: "KNOWN"})(&spec)
	i, err := runtime.Of(s.Config.Runtime, spec).Launch(bounded(t), runtime.Key{Server: "probe"})
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, i)
	if env := environ(t, i); !slices.Contains(env, "KNOWN="+known) {
		t.Error("the secret is not in the environment")
	}
	spec.Secrets[0].Value = secrets.Template("${ABSENT}")
	if _, err := runtime.Of(s.Config.Runtime, spec).Launch(bounded(t), runtime.Key{Server: "probe"}); err == nil || !strings.Contains(err.Error(), "secret known is missing") {
		t.Errorf("without a secret: %v", err)
	}
}

func (s *suite) secretFile(t *testing.T) {
	const file = "/run/secrets/known"
	i := s.enforced(t, with(runtime.SecretUse{File: file, Env: "KNOWN_FILE"}))
	if i == nil {
		return
	}
	var content string
	if err := ask(t, i, "probe/read", file, &content); err != nil || content != known {
		t.Errorf("the file holds %q, %v", content, err)
	}
	if err := ask(t, i, "probe/write", file, nil); err == nil {
		t.Error("the server wrote to the file of a secret")
	}
	if err := ask(t, i, "probe/read", "/run/secrets/absent", nil); err == nil {
		t.Error("there is a file of a secret that is missing")
	}
	env := environ(t, i)
	if !slices.Contains(env, "KNOWN_FILE="+file) {
		t.Errorf("no variable names the file")
	}
	for _, v := range env {
		if strings.Contains(v, known) || strings.HasPrefix(v, "ABSENT=") {
			t.Errorf("the environment holds %s", v)
		}
	}
	if err := ask(t, i, "probe/stderr", "the token is "+known, nil); err != nil {
		t.Fatal(err)
	}
	_ = ask(t, i, "probe/exit", 1, nil)
	if e := oneExit(bounded(t), t, i); strings.Contains(e.String(), known) || !strings.Contains(e.String(), "the token is") {
		t.Errorf("the exit says %s", e)
	}
}

func (s *suite) secretHosts(t *testing.T) {
	i := s.enforced(t, with(runtime.SecretUse{Env: "KNOWN", File: "/run/secrets/known", Hosts: []runtime.SecretHost{{Host: "bound.invalid"}}}))
	if i == nil {
		return
	}
	var placeholder string
	for _, v := range environ(t, i) {
		if p, ok := strings.CutPrefix(v, "KNOWN="); ok {
			placeholder = p
		}
		if strings.Contains(v, known) {
			t.Error("the environment holds the secret")
		}
	}
	var content string
	if err := ask(t, i, "probe/read", "/run/secrets/known", &content); err != nil || content != placeholder || !strings.HasPrefix(content, "ghplaceholder_") {
		t.Errorf("the file holds %q, %v, and the environment %q", content, err, placeholder)
	}
	var ca string
	if err := ask(t, i, "probe/read", "/dev/gatehouse-ca.pem", &ca); err != nil || !strings.Contains(ca, "BEGIN CERTIFICATE") {
		t.Errorf("the authorities: %.100s, %v", ca, err)
	}
	again := s.must(t, with(runtime.SecretUse{Env: "KNOWN", Hosts: []runtime.SecretHost{{Host: "bound.invalid"}}}))
	if slices.Contains(environ(t, again), "KNOWN="+placeholder) {
		t.Error("two instances have the same placeholder")
	}
	_, err := s.start(t, func(spec *runtime.Spec) {
		with(runtime.SecretUse{Env: "KNOWN", Hosts: []runtime.SecretHost{{Host: "bound.invalid"}}})(spec)
		spec.Network.Allow = nil
	})
	if err == nil || !strings.Contains(err.Error(), `allow: ["bound.invalid:443"]`) {
		t.Errorf("bound to a host that cannot be reached: %v", err)
	}
	if _, err := os.Stat("/run/secrets/known"); err == nil {
		t.Error("the file is there on the host")
	}
}
