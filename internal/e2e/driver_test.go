//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// step is one entry of a driver's plan; see testdata/driver.mjs.
type step struct {
	Do        string         `json:"do"`
	Name      string         `json:"name,omitempty"`
	URI       string         `json:"uri,omitempty"`
	Arguments map[string]any `json:"arguments,omitempty"`
	Content   map[string]any `json:"content,omitempty"`
	Ref       map[string]any `json:"ref,omitempty"`
	Argument  map[string]any `json:"argument,omitempty"`
	Method    string         `json:"method,omitempty"`
	Progress  bool           `json:"progress,omitempty"`
	Cancel    bool           `json:"cancel,omitempty"`
}

// transcript is what a driver's client saw.
type transcript struct {
	Version string
	Steps   []struct {
		Result json.RawMessage
		Error  *struct {
			Message string
			Code    any
		}
	}
	Asked []struct {
		Method string
		Params json.RawMessage
	}
	Notified []struct {
		Method string
		Params json.RawMessage
	}
}

// drive runs a TypeScript client, "v1" or "v2", through a plan.
func drive(t *testing.T, kind, url string, plan []step) transcript {
	t.Helper()
	dir := t.TempDir()
	script, err := os.ReadFile(filepath.Join("testdata", "driver.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "driver.mjs"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	// Node looks for packages beside the script.
	if err := os.Symlink(bed.mods, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	input, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bed.node, "driver.mjs", kind, url)
	cmd.Dir, cmd.Env = dir, environ(dir)
	cmd.Stdin = bytes.NewReader(input)
	cmd.WaitDelay = 2 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("client %s: %v\n%s", kind, err, tail(errs.String(), 30))
	}
	var tr transcript
	if err := json.Unmarshal(out.Bytes(), &tr); err != nil {
		t.Fatalf("client %s printed no transcript: %v\n%s", kind, err, out.String())
	}
	if len(tr.Steps) != len(plan) {
		t.Fatalf("client %s did %d of %d steps", kind, len(tr.Steps), len(plan))
	}
	return tr
}

// expectation is a step and what must be in its result.
type expectation struct {
	step
	want []string // each must be in the result's JSON
	fail string   // the step must fail, with this in its message
}

// act drives a client through the expectations and checks each.
func act(t *testing.T, kind, url string, plan []expectation) transcript {
	t.Helper()
	steps := make([]step, len(plan))
	for i, e := range plan {
		steps[i] = e.step
	}
	tr := drive(t, kind, url, steps)
	for i, e := range plan {
		got := tr.Steps[i]
		label := strings.TrimSpace(e.Do + " " + e.Name + e.URI + e.Method)
		switch {
		case e.fail != "":
			if got.Error == nil {
				t.Errorf("step %d, %s: worked: %.500s", i, label, got.Result)
			} else if !strings.Contains(got.Error.Message, e.fail) {
				t.Errorf("step %d, %s: error %q, want one with %q", i, label, got.Error.Message, e.fail)
			}
		case got.Error != nil:
			t.Errorf("step %d, %s: %s", i, label, got.Error.Message)
		default:
			for _, want := range e.want {
				if !strings.Contains(string(got.Result), want) {
					t.Errorf("step %d, %s: %q is not in %.1500s", i, label, want, got.Result)
				}
			}
		}
	}
	return tr
}

// methods lists what the client was asked, in order.
func (tr transcript) methods() []string {
	all := make([]string, len(tr.Asked))
	for i, a := range tr.Asked {
		all[i] = a.Method
	}
	return all
}
