package runtime_test

import (
	"path"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// TestFoldersOfMany: the homes of all are no mount, nor is where everybody's
// sockets are; what lies below is.
func TestFoldersOfMany(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"/home", "/home/", "/home/me/..", "/tmp", "/tmp/."} {
		if runtime.Sensitive(p) == "" {
			t.Errorf("%s is not sensitive", p)
		}
	}
	for _, p := range []string{"/home/me", "/home/me/docs", "/tmp/x", "/srv/home", "/srv/tmp", "/homes", "/tmp.old"} {
		if why := runtime.Sensitive(p); why != "" {
			t.Errorf("%s: %s", p, why)
		}
	}
}

func TestHiddenNames(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, name := range runtime.HiddenNames() {
		have[name] = true
		if path.Clean(name) != name || path.IsAbs(name) {
			t.Errorf("%s is no name relative to a folder", name)
		}
	}
	for _, name := range []string{
		".ssh", ".git-credentials", ".local/share/keyrings", ".mozilla", ".config/google-chrome", ".config/chromium",
		".config/containers", ".cargo/credentials.toml", ".config/op", ".bash_history", ".zsh_history",
	} {
		if !have[name] || runtime.Sensitive("/home/me/"+name) == "" || runtime.Sensitive("/data/"+name+"/x") == "" {
			t.Errorf("%s is not sensitive", name)
		}
	}
	for _, name := range []string{".config", ".local/share", ".cargo", ".cargo/bin", ".local/bin", ".config/app"} {
		if why := runtime.Sensitive("/home/me/" + name); why != "" {
			t.Errorf("%s: %s", name, why)
		}
	}
}
