//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// bed is what the test bed installed.
var bed struct {
	folder string // GATEHOUSE_CACHE
	node   string // Node 24
	mods   string // node_modules
	golden string // the Go SDK's everything-server
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	leave, err := enter()
	if err != nil {
		return 1, err
	}
	bed.folder = os.Getenv("GATEHOUSE_CACHE")
	if bed.folder == "" {
		bed.folder = filepath.Join("..", "..", ".cache", "testbed")
	}
	if bed.folder, err = filepath.Abs(bed.folder); err != nil {
		return 1, err
	}
	bed.node = filepath.Join(bed.folder, "bin", "node")
	bed.mods = filepath.Join(bed.folder, "npm", "node_modules")
	bed.golden = filepath.Join(bed.folder, "bin", "everything-server")
	for _, path := range []string{bed.node, bed.mods, bed.golden} {
		if _, err := os.Stat(path); err != nil {
			return 1, fmt.Errorf("the test bed is not installed in %s: run `make testbed`, or set GATEHOUSE_CACHE", bed.folder)
		}
	}
	if built.folder, err = os.MkdirTemp("", "gatehouse-e2e-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(built.folder)
	code := m.Run()
	return code, leave()
}

// built holds the programs of this project that the tests run.
var built struct {
	folder string
	mu     sync.Mutex
	done   map[string]error
}

// program builds a main package of the project with the race detector, once,
// and returns its path.
func program(t *testing.T, pkg string) string {
	t.Helper()
	built.mu.Lock()
	defer built.mu.Unlock()
	bin := filepath.Join(built.folder, strings.ReplaceAll(pkg, "/", "-"))
	err, ok := built.done[pkg]
	if !ok {
		cmd := exec.Command("go", "build", "-race", "-o", bin, "./"+pkg)
		cmd.Dir = filepath.Join("..", "..")
		if out, failed := cmd.CombinedOutput(); failed != nil {
			err = fmt.Errorf("building %s: %w\n%s", pkg, failed, out)
		}
		if built.done == nil {
			built.done = map[string]error{}
		}
		built.done[pkg] = err
	}
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// npm is the path of a file of an installed npm package.
func npm(t *testing.T, path string) string {
	t.Helper()
	full := filepath.Join(bed.mods, filepath.FromSlash(path))
	if _, err := os.Stat(full); err != nil {
		t.Fatal(err)
	}
	return full
}

// environ is what every program of a test gets: a home of its own and nothing
// of the caller's but PATH, with the test bed's Node in front.
func environ(home string, more ...string) []string {
	return append([]string{
		"PATH=" + filepath.Dir(bed.node) + string(os.PathListSeparator) + os.Getenv("PATH"),
		"HOME=" + home,
		"NO_COLOR=1",
		"CI=true",
	}, more...)
}
