//go:build e2e && linux

package testimage

import (
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// The servers of a Node image, as arguments of its entrypoint.
const (
	Everything = "/app/node_modules/@modelcontextprotocol/server-everything/dist/index.js"
	Filesystem = "/app/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"
)

// Node is an image with Node, the libraries it needs and published npm
// servers. node is the program, modules the node_modules that npm made.
func (i *Images) Node(t testing.TB, node, modules string) v1.Image {
	t.Helper()
	return i.once(t, "node", func() (v1.Image, error) {
		return i.image("node", []string{"/usr/bin/node"}, v1.Config{WorkingDir: "/app"}, func(w *layer) error {
			if err := w.file(node, "/usr/bin/node", 0o755); err != nil {
				return err
			}
			libs := map[string]string{}
			if err := libraries(node, libs); err != nil {
				return err
			}
			for to, from := range libs {
				if err := w.file(from, to, 0o755); err != nil {
					return err
				}
			}
			packages := map[string]bool{}
			for _, name := range []string{"server-everything", "server-filesystem"} {
				if err := closure(modules, filepath.Join(modules, "@modelcontextprotocol", name), packages); err != nil {
					return err
				}
			}
			for dir := range packages {
				rel, err := filepath.Rel(modules, dir)
				if err != nil {
					return err
				}
				nested := func(r string) bool { return r == "node_modules" } // in packages, if needed
				if err := w.tree(dir, "/app/node_modules/"+filepath.ToSlash(rel), nested); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// libraries finds the interpreter and shared libraries of a program: the path
// in the image and that on this machine.
func libraries(file string, found map[string]string) error {
	f, err := elf.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			b := make([]byte, p.Filesz)
			if _, err := p.ReadAt(b, 0); err != nil {
				return err
			}
			interp := strings.TrimRight(string(b), "\x00")
			found[interp] = interp
		}
	}
	names, err := f.ImportedLibraries()
	if err != nil {
		return err
	}
	for _, name := range names {
		to := "/usr/lib/" + name // the loader looks there by default
		if _, ok := found[to]; ok || strings.HasPrefix(name, "ld-linux") {
			continue
		}
		from, err := locate(name)
		if err != nil {
			return err
		}
		found[to] = from
		if err := libraries(from, found); err != nil {
			return err
		}
	}
	return nil
}

func locate(name string) (string, error) {
	for _, dir := range []string{"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"} {
		p := filepath.Join(dir, name)
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("the library %s is not on this machine", name)
}

// closure finds the folders of a package and of all that it depends on.
func closure(root, dir string, found map[string]bool) error {
	if found[dir] {
		return nil
	}
	found[dir] = true
	b, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		return err
	}
	var p struct{ Dependencies map[string]string }
	if err := json.Unmarshal(b, &p); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	for name := range p.Dependencies {
		dep, err := resolve(root, dir, name)
		if err != nil {
			return err
		}
		if err := closure(root, dep, found); err != nil {
			return err
		}
	}
	return nil
}

// resolve finds a package as Node does: in the nearest node_modules upwards.
func resolve(root, dir, name string) (string, error) {
	for ; len(dir) >= len(root); dir = filepath.Dir(dir) {
		for _, at := range []string{filepath.Join(dir, "node_modules", name), filepath.Join(dir, name)} {
			if _, err := os.Stat(filepath.Join(at, "package.json")); err == nil {
				return at, nil
			}
		}
	}
	return "", errors.New("npm did not install " + name)
}
