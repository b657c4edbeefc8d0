package arch

import (
	"slices"
	"strings"
	"testing"
)

type arrow struct {
	from string
	may  []string
	why  string
}

// arrows says which packages of the module a package may import, beside those
// of internal, which count as what they depend on. The first entry that
// matches counts; "x/*" stands for all packages below x.
var arrows = []arrow{
	{"secrets", nil,
		"everyone imports it, so it is the standard library and nothing else"},
	{"secrets/scan", []string{"secrets"},
		"a scanner is useful without a gateway"},
	{"secrets/guard", []string{"secrets", "secrets/scan", "interceptor", "transport"},
		"the guard is an interceptor"},
	{"secrets/*", []string{"secrets"},
		"a provider is what any user could have written; none needs another"},
	{"transport", []string{"secrets"},
		"it moves messages and knows nothing of policy"},
	{"transport/*", []string{"transport", "transport/*", "secrets"},
		"verifiers and connectors with dependencies of their own build on transport alone"},
	{"interceptor", []string{"transport", "secrets"},
		"the extension point is below the gateway, so that an interceptor can be written and tested without one"},
	{"interceptor/*", []string{"interceptor", "interceptor/*", "transport", "secrets", "secrets/*"},
		"a built-in interceptor is what any user could have written"},
	{"runtime", []string{"transport", "secrets"},
		"what makes instances knows nothing of who calls them"},
	{"runtime/*", []string{"runtime", "runtime/*", "transport", "transport/*", "secrets"},
		"a driver is what any user could have written"},
	{"catalog", []string{"runtime", "transport", "secrets"},
		"an entry resolves to a runtime.Spec; it starts nothing"},
	{"catalog/*", []string{"catalog", "catalog/*", "runtime", "transport", "secrets"},
		"formats, trust and vulnerabilities are the catalog's"},
	{"profile", []string{"catalog", "transport", "secrets"},
		"a profile names servers and tools; it runs nothing"},
	{"profile/*", []string{"profile", "profile/*", "catalog", "transport", "secrets"},
		"stores are the profile's"},
	{"gateway", []string{"interceptor", "interceptor/*", "runtime", "catalog", "profile", "transport", "secrets", "secrets/*"},
		"the gateway takes launchers and interceptors as values; it picks no driver itself"},
	{"gateway/cluster", []string{"gateway", "interceptor", "runtime", "catalog", "profile", "transport", "secrets"},
		"engines for more than one node plug into the gateway"},
	{"gateway/*", []string{"gateway", "gateway/*", "interceptor", "interceptor/*", "runtime", "catalog", "profile", "transport", "secrets", "secrets/*"},
		"config, admin, console and meta are clients of the gateway; drivers reach them as values"},
	{"", nil,
		"the root package is the map of the library and has no code"},
}

// match tells whether path is meant by pattern: itself, or "x/*" for all below x.
func match(pattern, path string) bool {
	if folder, ok := strings.CutSuffix(pattern, "/*"); ok {
		return path != folder && under(path, folder)
	}
	return path == pattern
}

// may tells whether one of the patterns matches path.
func may(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(m string) bool { return match(m, path) })
}

func TestArrowsGoOneWay(t *testing.T) {
	t.Parallel()
	ours, byPath := packages(t)

	for _, p := range ours {
		switch {
		case under(p.rel(), "examples"):
			for _, imp := range p.Imports {
				if strings.HasPrefix(imp, module+"/internal/") {
					t.Errorf("%s imports %s: an example is code that a user could have written", p.ImportPath, imp)
				}
			}
			continue
		case under(p.rel(), "internal"):
			for _, imp := range p.Imports {
				if strings.HasPrefix(imp, module+"/examples") {
					t.Errorf("%s imports %s: nothing imports the examples", p.ImportPath, imp)
				}
			}
			continue
		}
		i := slices.IndexFunc(arrows, func(a arrow) bool { return match(a.from, p.rel()) })
		if i < 0 {
			t.Errorf("%s has no entry in the table of arrows; say what it may import and why", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			q := byPath[imp]
			if !q.ours() {
				continue
			}
			if under(q.rel(), "internal") {
				// What it stands on counts as imported.
				for _, dep := range q.Deps {
					d := byPath[dep]
					if d.ours() && !under(d.rel(), "internal") && !may(arrows[i].may, d.rel()) {
						t.Errorf("%s imports %s, which depends on %s, against the arrows: %s", p.ImportPath, imp, dep, arrows[i].why)
					}
				}
				continue
			}
			if !may(arrows[i].may, q.rel()) {
				t.Errorf("%s imports %s, against the arrows: %s", p.ImportPath, imp, arrows[i].why)
			}
		}
	}
}

// heavy are the modules that only those shall carry who use them.
var heavy = map[string][]string{
	"containerd":           {"github.com/containerd"},
	"sigstore":             {"github.com/sigstore"},
	"CEL":                  {"github.com/google/cel-go", "cel.dev"},
	"go-containerregistry": {"github.com/google/go-containerregistry"},
	"OpenTelemetry SDK":    {"go.opentelemetry.io/otel/sdk", "go.opentelemetry.io/otel/exporters"},
	"Kubernetes":           {"k8s.io", "sigs.k8s.io"},
	"NATS":                 {"github.com/nats-io"},
	"gRPC":                 {"google.golang.org/grpc"},
	"age":                  {"filippo.io"},
	"keyring":              {"github.com/zalando/go-keyring", "github.com/godbus"},
}

// light says what must stay out of a package's whole import graph.
var light = []struct {
	pkg  string
	not  []string
	why  string
	must bool // the package exists by now
}{
	{"transport", []string{"containerd", "sigstore", "CEL", "go-containerregistry", "OpenTelemetry SDK", "Kubernetes", "NATS", "gRPC", "age", "keyring"},
		"a program that only moves messages must not carry a container engine", true},
	{"interceptor", []string{"containerd", "sigstore", "CEL", "go-containerregistry", "OpenTelemetry SDK", "Kubernetes", "NATS", "gRPC", "age", "keyring"},
		"whoever writes an interceptor imports it", true},
	{"secrets/scan", []string{"containerd", "sigstore", "CEL", "go-containerregistry", "OpenTelemetry SDK", "Kubernetes", "NATS", "gRPC", "age", "keyring"},
		"a scanner is useful without a gateway", true},
	{"gateway", []string{"containerd", "sigstore", "OpenTelemetry SDK", "Kubernetes", "NATS", "gRPC", "age", "keyring"},
		"every embedder imports it; drivers are values that the host brings", true},
	{"gateway/config", []string{"containerd", "sigstore", "OpenTelemetry SDK", "Kubernetes", "NATS", "gRPC", "age", "keyring"},
		"the loader imports no driver; its caller passes the kinds", true},
}

func TestLightPackagesStayLight(t *testing.T) {
	t.Parallel()
	_, byPath := packages(t)
	for _, rule := range light {
		p, ok := byPath[module+"/"+rule.pkg]
		if !ok {
			if rule.must {
				t.Errorf("package %s is gone; this rule checks nothing", rule.pkg)
			}
			continue
		}
		for _, dep := range p.Deps {
			for _, name := range rule.not {
				for _, prefix := range heavy[name] {
					if under(dep, prefix) {
						t.Errorf("%s depends on %s (%s): %s", rule.pkg, dep, name, rule.why)
					}
				}
			}
		}
	}
}

// modules lists, for the packages that nearly every embedder imports, the
// modules that they may bring along. A new one is a decision, not an accident.
var modules = map[string][]string{
	"secrets":      nil,
	"secrets/scan": {"github.com/pelletier/go-toml/v2"}, // files of rules

	"secrets/env":     nil,
	"secrets/vault":   nil, // of a client's API, little is needed
	"secrets/file":    {"go.yaml.in/yaml/v4"},
	"secrets/command": {"go.yaml.in/yaml/v4"},
	"secrets/age":     {"filippo.io/age", "filippo.io/hpke", "golang.org/x/crypto", "golang.org/x/sys", "go.yaml.in/yaml/v4"},
	"secrets/keyring": {"github.com/zalando/go-keyring", "github.com/godbus/dbus/v5"},
	"transport": {
		"github.com/mark3labs/mcp-go", // types and names of the protocol
		"github.com/google/jsonschema-go", "github.com/spf13/cast", "github.com/yosida95/uritemplate/v3",
		"github.com/santhosh-tekuri/jsonschema/v6", "golang.org/x/text", // mcp-go's own
		"golang.org/x/sys", // pipes that can be given up
	},
}

func TestModulesAreListed(t *testing.T) {
	t.Parallel()
	_, byPath := packages(t)
	for name, allowed := range modules {
		p, ok := byPath[module+"/"+name]
		if !ok {
			t.Errorf("package %s is gone; this rule checks nothing", name)
			continue
		}
		for _, dep := range p.Deps {
			q := byPath[dep]
			if q.Standard || q.ours() || q.Module == nil || slices.Contains(allowed, q.Module.Path) {
				continue
			}
			t.Errorf("%s now depends on module %s (by %s); if that is meant, list it", name, q.Module.Path, dep)
		}
	}
}
