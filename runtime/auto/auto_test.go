package auto_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/auto"
	"github.com/gatehouse-mcp/gatehouse/runtime/containerd"
	"github.com/gatehouse-mcp/gatehouse/runtime/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Init()
	os.Exit(m.Run())
}

// Without containerd it is the sandbox, or, where that cannot be had either,
// an error that says what both lack; never a plain process.
func TestWithoutContainerd(t *testing.T) {
	t.Parallel()
	address := t.TempDir() + "/none.sock"
	rt, err := auto.New(t.Context(), t.TempDir(), &auto.Options{Containerd: &containerd.Options{Address: address}})
	if err != nil {
		for _, want := range []string{"nothing on this machine can confine servers", "containerd: ", "sandbox: "} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in: %v", want, err)
			}
		}
		return
	}
	defer rt.Close()
	if rt.Chosen() != auto.Sandbox || !strings.Contains(rt.Why(), address) || !strings.Contains(rt.Description(), rt.Why()) {
		t.Errorf("chosen %q since %s: %s", rt.Chosen(), rt.Why(), rt.Description())
	}
	if err := rt.Check(runtime.Spec{Image: "registry.example/x:1"}); !errors.Is(err, runtime.ErrCannotEnforce) || !strings.Contains(err.Error(), "was chosen since containerd at "+address) {
		t.Errorf("an image of a registry: %v", err)
	}
	if err := rt.Check(runtime.Spec{Command: []string{"/bin/true"}, Unconfined: true}); err == nil {
		t.Error("a plain process is fine with it")
	}
}

func TestRequire(t *testing.T) {
	t.Parallel()
	address := t.TempDir() + "/none.sock"
	_, err := auto.New(t.Context(), t.TempDir(), &auto.Options{Containerd: &containerd.Options{Address: address}, Require: auto.Containerd})
	if err == nil || !strings.Contains(err.Error(), "containerd is required, but cannot be had") {
		t.Errorf("got %v", err)
	}
	_, err = auto.New(t.Context(), t.TempDir(), &auto.Options{Require: "docker"})
	if err == nil || !strings.Contains(err.Error(), `Require "docker" is none of "containerd", "sandbox"`) {
		t.Errorf("got %v", err)
	}
}
