package arch

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/gatehouse-mcp/gatehouse"

// root is the module's folder, seen from this package.
var root = filepath.Join("..", "..")

// pkg is what `go list` says of a package.
type pkg struct {
	ImportPath   string
	Name         string
	Dir          string
	Doc          string
	Standard     bool
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	IgnoredGo    []string `json:"IgnoredGoFiles"`
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
	DepOnly      bool
	Module       *struct{ Path string }
}

// rel is the path inside the module: "transport", "" for the root package.
func (p pkg) rel() string { return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/") }

func (p pkg) ours() bool {
	return p.ImportPath == module || strings.HasPrefix(p.ImportPath, module+"/")
}

// library tells whether p is code that an embedder's program may contain.
func (p pkg) library() bool { return p.ours() && p.Name != "main" && len(p.GoFiles) > 0 }

var list = sync.OnceValues(func() ([]pkg, error) {
	cmd := exec.Command("go", "list", "-e", "-deps", "-json="+strings.Join([]string{
		"ImportPath", "Name", "Dir", "Doc", "Standard", "GoFiles", "TestGoFiles", "XTestGoFiles",
		"IgnoredGoFiles", "Imports", "TestImports", "XTestImports", "Deps", "DepOnly", "Module",
	}, ","), "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, &exec.Error{Name: "go list: " + stderr.String(), Err: err}
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
})

// packages lists the module's packages and all that they depend on.
func packages(t *testing.T) (ours []pkg, byPath map[string]pkg) {
	t.Helper()
	all, err := list()
	if err != nil {
		t.Fatal(err)
	}
	byPath = make(map[string]pkg, len(all))
	for _, p := range all {
		byPath[p.ImportPath] = p
		if p.ours() {
			ours = append(ours, p)
		}
	}
	if len(ours) < 5 {
		t.Fatalf("go list found %d packages of the module; the rules would check nothing", len(ours))
	}
	return ours, byPath
}

// under tells whether path is folder or below it.
func under(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}
