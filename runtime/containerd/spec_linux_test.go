package containerd

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	godigest "github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/gatehouse-mcp/gatehouse/internal/layoutref"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

var update = flag.Bool("update", false, "write the golden files")

func examplePlan() plan {
	return plan{
		id: "gh-files-0123456789abcdef", namespace: "gatehouse",
		spec: runtime.Spec{
			Name: "files", Image: "example.com/files", Args: []string{"/docs"},
			Env: map[string]secrets.Value{"TOKEN": secrets.Plain("t"), "LANG": secrets.Plain("C")},
		},
		image: imagespec.ImageConfig{
			Entrypoint: []string{"/server"}, Cmd: []string{"--help"}, WorkingDir: "/app",
			Env: []string{"PATH=/usr/bin", "LANG=de", "HOME=/home/x"},
		},
		user:   user{uid: 1000, gid: 1000, more: []uint32{44}, own: true},
		mounts: []specs.Mount{bind("/srv/docs", "/docs", false, Class{}), bind("/srv/out", "/out", true, Class{})},
		dir:    "/app",
		netns:  "/proc/1/fd/9", cgroup: "/gatehouse-o/gh-files-0123456789abcdef", oomScore: 500,
	}
}

// TestGoldenSpec shows the whole of a container's spec. The filter of system
// calls and the masked paths are containerd's own, and not shown.
func TestGoldenSpec(t *testing.T) {
	t.Parallel()
	gv := examplePlan()
	gv.class, gv.group = Class{UserKernel: true}, "gatehouse-g"
	gv.mounts = []specs.Mount{bind("/srv/docs", "/docs", false, gv.class)}
	gv.spec.Limits = runtime.Limits{CPUs: 0.001, Memory: 8 << 20, PIDs: 200, Tmp: 1 << 20, Files: 64}
	gv.spec.WritableRoot = true
	gv.user = user{uid: 65532, gid: 65532}
	gv.image = imagespec.ImageConfig{}
	gv.spec.Command, gv.dir = []string{"/bin/x", "a"}, "/work"
	gv.env = map[string]string{"HTTP_PROXY": "http://127.0.0.1:3128"}
	for name, p := range map[string]plan{"default": examplePlan(), "gvisor": gv} {
		s, err := p.ociSpec()
		if err != nil {
			t.Fatal(err)
		}
		if have := s.Linux.Seccomp != nil; have == p.class.UserKernel {
			t.Errorf("%s: a filter of system calls: %v", name, have)
		} else if have {
			if s.Linux.Seccomp.DefaultAction != specs.ActErrno || len(s.Linux.Seccomp.Architectures) != 1 || s.Linux.Seccomp.Architectures[0] != nativeArch() {
				t.Errorf("%s: the filter is for %v, by default %s", name, s.Linux.Seccomp.Architectures, s.Linux.Seccomp.DefaultAction)
			}
			s.Linux.Seccomp = nil
		}
		for _, path := range []string{"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"} {
			if !slices.Contains(s.Linux.MaskedPaths, path) {
				t.Errorf("%s: %s is not masked", name, path)
			}
		}
		s.Linux.MaskedPaths = nil
		got, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, '\n')
		file := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s: the spec is not as in %s; run with -update and look at the difference", name, file)
		}
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	image := imagespec.ImageConfig{Entrypoint: []string{"/e"}, Cmd: []string{"c"}}
	for _, test := range []struct {
		spec  runtime.Spec
		image imagespec.ImageConfig
		want  string
	}{
		{runtime.Spec{}, image, "/e c"},
		{runtime.Spec{Args: []string{"a", "b"}}, image, "/e a b"},
		{runtime.Spec{Command: []string{"/x"}}, image, "/x"},
		{runtime.Spec{Command: []string{"/x", "y"}, Args: []string{"z"}}, image, "/x y z"},
		{runtime.Spec{Args: []string{"a"}}, imagespec.ImageConfig{Cmd: []string{"c"}}, "a"},
		{runtime.Spec{}, imagespec.ImageConfig{Cmd: []string{"c", "d"}}, "c d"},
		{runtime.Spec{}, imagespec.ImageConfig{}, ""},
		{runtime.Spec{Command: []string{""}}, image, ""},
	} {
		got, err := arguments(test.spec, test.image)
		if (err != nil) != (test.want == "") || strings.Join(got, " ") != test.want {
			t.Errorf("%v of %v: got %q, %v; want %q", test.spec, test.image, got, err, test.want)
		}
	}
}

func checker(t *testing.T, o *Options) *Runtime {
	t.Helper()
	r, err := New(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestCheck(t *testing.T) {
	t.Parallel()
	r := checker(t, &Options{Classes: map[string]Class{"kata": {Runtime: "io.containerd.kata.v2"}}})
	const image = "example.com/x"
	for _, fine := range []runtime.Spec{
		{Image: image}, {Image: image, Class: "gvisor"}, {Image: image, Class: "kata"}, {Image: image, User: "0"},
		{Image: image, Port: 80, Path: "/x"}, {Image: image, Network: runtime.Network{Allow: []string{"example.com:443"}}},
	} {
		if err := r.Check(fine); err != nil {
			t.Errorf("%v: %v", fine, err)
		}
	}
	unresolved := secrets.Template("${X}")
	for want, spec := range map[string]runtime.Spec{
		"unconfined cannot be enforced":                {Image: image, Unconfined: true},
		"a command of this machine cannot be enforced": {Command: []string{"/bin/true"}},
		"UPPER":                                       {Image: "UPPER"},
		`class "firecracker" cannot be enforced`:      {Image: image, Class: "firecracker"},
		"limits.cpus is -1":                           {Image: image, Limits: runtime.Limits{CPUs: -1}},
		"a limit is negative":                         {Image: image, Limits: runtime.Limits{Files: -1}},
		`limits.pids 10 in class "gvisor" cannot be`:  {Image: image, Class: "gvisor", Limits: runtime.Limits{PIDs: 10}},
		`user "server"`:                               {Image: image, User: "server"},
		`user "1:2:3"`:                                {Image: image, User: "1:2:3"},
		`user "-1"`:                                   {Image: image, User: "-1"},
		`dir "x" is not absolute`:                     {Image: image, Dir: "x"},
		"port 65536 does not exist":                   {Image: image, Port: 65536},
		"without a port":                              {Image: image, Path: "/mcp"},
		"does not begin with /":                       {Image: image, Port: 1, Path: "mcp"},
		"maxLine is negative":                         {Image: image, MaxLine: -1},
		"mount of /a at /proc/x":                      {Image: image, Mounts: []runtime.Mount{{Source: "/a", Target: "/proc/x"}}},
		"network.allow":                               {Image: image, Network: runtime.Network{Allow: []string{"example.com"}}},
		"an argument has a zero byte":                 {Image: image, Args: []string{"a\x00"}},
		`"A=B" is no name of an environment variable`: {Image: image, Env: map[string]secrets.Value{"A=B": secrets.Plain("")}},
		"environment variable A is not resolved":      {Image: image, Env: map[string]secrets.Value{"A": unresolved}},
		"environment variable A has a zero byte":      {Image: image, Env: map[string]secrets.Value{"A": secrets.Plain("\x00")}},
	} {
		err := r.Check(spec)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want one with %q", err, want)
		}
		if strings.Contains(want, "cannot be") && !errors.Is(err, runtime.ErrCannotEnforce) {
			t.Errorf("%v does not match ErrCannotEnforce", err)
		}
	}
	err := r.Check(runtime.Spec{Image: image, Port: -1, MaxLine: -1, Dir: "x"})
	for _, want := range []string{"port", "maxLine", "dir"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not among the faults: %v", want, err)
		}
	}
}

func TestRequireClass(t *testing.T) {
	t.Parallel()
	r := checker(t, &Options{RequireClass: "gvisor"})
	for class, ok := range map[string]bool{"": true, "gvisor": true, "kata": false} {
		got, err := r.class(class)
		if (err == nil) != ok || ok && !got.UserKernel {
			t.Errorf("class %q: %+v, %v", class, got, err)
		}
	}
	if d := r.Description(); !strings.Contains(d, "runsc") || !strings.Contains(d, DefaultAddress) {
		t.Errorf("the description is %q", d)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]*Options{
		"Address":               {Address: "c.sock"},
		"Namespace":             {Namespace: "a/b"},
		"RuncRoot":              {RuncRoot: "run"},
		"MaxInstances":          {MaxInstances: -1},
		`RequireClass "kata"`:   {RequireClass: "kata"},
		`Classes["x"]: Options`: {Classes: map[string]Class{"x": {Binary: "a", Options: 1}}},
	} {
		if r, err := New(t.TempDir(), o); err == nil || !strings.Contains(err.Error(), "containerd.Options: "+want) {
			if err == nil {
				_ = r.Close()
			}
			t.Errorf("got %v, want a fault of %s", err, want)
		}
	}
	if _, err := New("", nil); err == nil {
		t.Error("no state folder was accepted")
	}
}

func TestLabels(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"files": "files", "a b/c": "a-b-c", "--x--": "x", "ünïcode": "n-code", "": "", "***": "",
		strings.Repeat("ab-", 20): "ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab",
	} {
		if got := word(name, 32); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
	i := newInstance(&Runtime{folder: "/x"}, runtime.Spec{Name: strings.Repeat("long name ", 10)}, Class{}, nil)
	if !identifier.MatchString(i.id) || len(i.id) > 76 {
		t.Errorf("%q is no identifier", i.id)
	}
	if got := ofState(`/a "b"`); got != `labels."gatehouse.state"=="/a \"b\""` {
		t.Errorf("the filter is %s", got)
	}
	if digest("a", "bc") == digest("ab", "c") {
		t.Error("two different lists have one digest")
	}
}

func TestLayoutTarget(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := func(tag, digit string) string {
		return `{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"digest":"sha256:` + strings.Repeat(digit, 64) + `","annotations":{"org.opencontainers.image.ref.name":"` + tag + `"}}`
	}
	write := func(content string) {
		if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"manifests":[` + d("v1", "1") + `,` + d("v2", "2") + `]}`)
	if got, err := layoutTarget(layoutref.Ref{Path: dir, Tag: "v2"}); err != nil || got.Digest.Encoded()[0] != '2' || got.Annotations != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	for tag, want := range map[string]string{"": "2 images; name one by its tag (v1, v2) or its digest", "v3": "it has v1, v2"} {
		if _, err := layoutTarget(layoutref.Ref{Path: dir, Tag: tag}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("tag %q: %v", tag, err)
		}
	}
	sum := func(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }
	nested := `{"manifests":[` + d("", "5") + `]}`
	blob := godigest.FromString(nested)
	if err := os.MkdirAll(filepath.Join(dir, "blobs/sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "blobs/sha256", blob.Encoded()), []byte(nested), 0o644); err != nil {
		t.Fatal(err)
	}
	index := func(digest string) string {
		return `{"mediaType":"application/vnd.oci.image.index.v1+json","size":1,"digest":"` + digest + `"}`
	}
	write(`{"manifests":[` + d("v1", "1") + `,` + d("v2", "2") + `,` + index(sum("3")) + `,` + index(blob.String()) + `]}`)
	for _, at := range []layoutref.Ref{{Digest: sum("2")}, {Tag: "v2", Digest: sum("2")}, {Digest: sum("5")}, {Digest: blob.String()}} {
		at.Path = dir
		if got, err := layoutTarget(at); err != nil || got.Digest.String() != at.Digest || got.Annotations != nil {
			t.Errorf("%s: %+v, %v", at, got, err)
		}
	}
	for at, want := range map[layoutref.Ref]string{
		{Path: dir, Digest: sum("4")}:            "the layout has nothing with the digest " + sum("4"),
		{Path: dir, Tag: "v1", Digest: sum("2")}: `what the layout has with the tag "v1", ` + sum("1") + `, has nothing with the digest ` + sum("2"),
		{Path: dir, Tag: "v3", Digest: sum("2")}: `no image with the tag "v3"`,
	} {
		if got, err := layoutTarget(at); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", at, got, err, want)
		}
	}
	write(`{"manifests":[{"digest":"sha256:../../../etc/passwd"}]}`)
	if got, err := layoutTarget(layoutref.Ref{Path: dir}); err == nil {
		t.Errorf("a digest that is a path: %+v", got)
	}
	write(`{"manifests":[]}`)
	if _, err := layoutTarget(layoutref.Ref{Path: dir}); err == nil {
		t.Error("an empty layout has an image")
	}
	write(`{`)
	if _, err := layoutTarget(layoutref.Ref{Path: dir}); err == nil {
		t.Error("a broken layout has an image")
	}
}
