package sandbox

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTrustOfAnImage: an image's own authorities stay trusted, wherever its
// links lead, and what is not an authority is left out.
func TestTrustOfAnImage(t *testing.T) {
	t.Parallel()
	block := func(kind, content string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(content)}))
	}
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"etc/ssl/certs", "usr/share/ca", "opt"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{
		"usr/share/ca/all.pem": "# M\xfcller\n" + block("CERTIFICATE", "one") + block("PRIVATE KEY", "not this") + block("CERTIFICATE", "two"),
		"opt/own.pem":          block("CERTIFICATE", "own"),
		"opt/none":             "nothing",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/usr/share/ca/all.pem", filepath.Join(root, "etc/ssl/certs/ca-certificates.crt")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("certs/ca-certificates.crt", filepath.Join(root, "etc/ssl/cert.pem")); err != nil {
		t.Fatal(err)
	}
	img := &image{root: root}
	authority := block("CERTIFICATE", "the proxy's")
	for name, test := range map[string]struct {
		env    string // SSL_CERT_FILE of the image
		mounts []shown
		want   string
		covers string
	}{
		"links":   {"", nil, block("CERTIFICATE", "one") + block("CERTIFICATE", "two"), "/usr/share/ca/all.pem"},
		"own":     {"/opt/own.pem", nil, block("CERTIFICATE", "own"), "/opt/own.pem /usr/share/ca/all.pem"},
		"none":    {"/opt/none", nil, block("CERTIFICATE", "one") + block("CERTIFICATE", "two"), "/usr/share/ca/all.pem"},
		"missing": {"/none/x", nil, block("CERTIFICATE", "one") + block("CERTIFICATE", "two"), "/usr/share/ca/all.pem"},
		"mounted": {"", []shown{{target: "/usr/share"}}, block("CERTIFICATE", "one") + block("CERTIFICATE", "two"), ""},
	} {
		o := &order{env: map[string]string{"PATH": "/"}}
		if test.env != "" {
			o.env["SSL_CERT_FILE"] = test.env
		}
		for _, top := range []string{"/etc", "/usr", "/opt"} {
			o.Steps = append(o.Steps, step{Kind: bind, Target: top, Source: root + top})
		}
		o.given = map[string]bool{"NODE_EXTRA_CA_CERTS": true}
		o.env["NODE_EXTRA_CA_CERTS"] = "/mine"
		if err := o.trust([]byte(authority), img, test.mounts); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var covers []string
		for _, s := range o.Steps[3:] {
			switch {
			case s.Kind == alias && s.Source == trusted:
				covers = append(covers, s.Target)
			case s.Target != trusted || s.Source != test.want+authority:
				t.Errorf("%s: the step %s with %q", name, s, s.Source)
			}
		}
		if got := strings.Join(covers, " "); got != test.covers {
			t.Errorf("%s: it covers %q, want %q", name, got, test.covers)
		}
		if o.env["NODE_EXTRA_CA_CERTS"] != "/mine" || o.env["SSL_CERT_FILE"] != trusted {
			t.Errorf("%s: its environment is %q", name, o.env)
		}
	}
	o := &order{env: map[string]string{"SSL_CERT_FILE": "/etc"}}
	if err := o.trust([]byte(authority), img, nil); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a folder in the place of a file: %v", err)
	}
}
