//go:build e2e && linux

package containerd

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/internal/injecttest"
	"github.com/gatehouse-mcp/gatehouse/internal/testimage"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/runtimetest"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// TestSecretsWithoutHavingThem has a server use a secret, and looks for it in
// all that is the server's, and in what containerd keeps of it.
func TestSecretsWithoutHavingThem(t *testing.T) {
	d := bed.Containerd(t)
	s := injecttest.NewService(t)
	r := newRuntime(t, d, func(o *Options) { o.Egress, o.Events = s.Proxy, s.Events })
	spec := probe(t)
	spec.Command = []string{"/server", "init", "/server", runtimetest.ProbeArg}
	s.Use(&spec)
	spec.Secrets = append(spec.Secrets, runtime.SecretUse{
		Name: "file", Value: secrets.Plain("the-content-of-a-file"), Env: "KEY_FILE", File: "/run/keys/file",
	})
	i := start(t, r, spec)
	injecttest.Run(t, s, i, func() (pids []int) {
		want, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", i.pid))
		all, _ := filepath.Glob("/proc/[0-9]*/ns/pid")
		for _, p := range all {
			if ns, err := os.Readlink(p); err == nil && ns == want {
				n, _ := strconv.Atoi(strings.Split(p, "/")[2])
				pids = append(pids, n)
			}
		}
		return pids
	})
	record, err := r.client.ContainerService().Get(r.within(bounded(t)), i.id)
	if err != nil {
		t.Fatal(err)
	}
	spot := record.Spec.GetValue()
	for _, no := range []string{s.Secret(), "the-content-of-a-file"} {
		if bytes.Contains(spot, []byte(no)) {
			t.Errorf("the record of the container holds %s", no)
		}
	}
	mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", i.pid))
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if f[3] != "/secret" {
			continue
		}
		shown++
		for _, o := range []string{"ro", "nosuid", "nodev", "noexec"} {
			if !strings.Contains(","+f[5]+",", ","+o+",") {
				t.Errorf("the mount is not %s: %s", o, line)
			}
		}
	}
	if shown != 2 {
		t.Errorf("%d files are mounted: %s", shown, mounts)
	}
	for _, file := range []string{"/run/secrets/token", "/run/keys/file"} {
		info, err := os.Stat(fmt.Sprintf("/proc/%d/root%s", i.pid, file))
		if err != nil || info.Mode() != 0o400 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	host, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(host), " /secret ") {
		t.Errorf("the file is mounted on the host, %v", err)
	}
	// A weaker form: in the environment, and in the record as long as the
	// container is there.
	spec = probe(t)
	spec.Env = map[string]secrets.Value{"TOKEN": secrets.Plain("weak-but-wanted")}
	i = start(t, r, spec)
	if err := i.Stop(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.client.ContainerService().Get(r.within(bounded(t)), i.id); err == nil {
		t.Error("the record outlived the instance")
	}
}

func TestAuthoritiesOfAnImage(t *testing.T) {
	s := injecttest.NewService(t)
	r := newRuntime(t, bed.Containerd(t), func(o *Options) { o.Egress, o.Events = s.Proxy, s.Events })
	img := injecttest.WithAuthorities(t, built.Static(t, probePackage))
	for _, class := range []string{"", "", "gvisor"} { // looked up, and remembered
		spec := runtime.Spec{
			Name: "probe", Class: class, Image: "oci:" + testimage.Layout(t, img, "v1") + ":v1",
			Command: []string{"/server", "init", "/server", runtimetest.ProbeArg},
			Env:     map[string]secrets.Value{"SSL_CERT_FILE": secrets.Plain("")},
		}
		s.Use(&spec)
		if class != "" {
			if _, err := r.Start(bounded(t), spec); !errors.Is(err, runtime.ErrCannotEnforce) {
				t.Errorf("a file in class %s: %v", class, err)
			}
			spec.Secrets[0].File = ""
		}
		injecttest.RunWithAuthorities(t, start(t, r, spec), class == "")
	}
}

// TestNodeAsItComes has Node.js use a placeholder, in an image without any
// authorities.
func TestNodeAsItComes(t *testing.T) {
	s := injecttest.NewService(t)
	r := newRuntime(t, bed.Containerd(t), func(o *Options) { o.Egress, o.Events = s.Proxy, s.Events })
	for name, call := range map[string]string{
		"https": `require("https").get(url, {headers}, r => r.on("data", d => process.stderr.write(d))).on("error", console.error)`,
		"fetch": `fetch(url, {headers}).then(r => r.text()).then(t => process.stderr.write(t)).catch(console.error)`,
	} {
		spec := runtime.Spec{
			Name: "node", Image: "oci:" + testimage.Layout(t, built.Node(t, bed.Program("node"), bed.Modules()), "v1") + ":v1",
			Command: []string{"/usr/bin/node", "-e", `const url = "https://` + injecttest.Bound + `/echo", headers = {Authorization: "Bearer " + process.env.TOKEN}; ` + call},
		}
		s.Use(&spec)
		e := <-start(t, r, spec).Wait()
		if all := strings.Join(e.Stderr, " "); !strings.Contains(all, "Bearer ghplaceholder_") || !s.Served() {
			t.Errorf("%s got %q", name, e.Stderr)
		}
	}
}

func TestRotation(t *testing.T) {
	r := newRuntime(t, bed.Containerd(t), nil)
	injecttest.RunRotation(t, func(change func(*runtime.Spec)) runtime.Instance {
		spec := probe(t)
		spec.Command = []string{"/server", "init", "/server", runtimetest.ProbeArg}
		change(&spec)
		return start(t, r, spec)
	})
}
