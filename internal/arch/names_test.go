package arch

import (
	"bufio"
	"bytes"
	"go/ast"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// maxLines bounds a Go file: what is longer holds more than one noun.
const maxLines = 600

// vague are words that say nothing about what a thing is.
var vague = regexp.MustCompile(`(?i)^(utils?|helpers?|common|managers?|misc|base|shared)$`)

// vagueType finds them at the end of a type's name.
var vagueType = regexp.MustCompile(`(Utils?|Helpers?|Manager|Misc)$`)

// files walks the text files of the project: what a clone holds, without
// hidden folders (other than .ci) and what the test bed installed.
func files(t *testing.T, visit func(name string, data []byte)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(strings.TrimPrefix(file, root), string(filepath.Separator)))
		base := path.Base(name)
		if d.IsDir() {
			if name != "" && strings.HasPrefix(base, ".") && base != ".ci" || base == "node_modules" || name == "bin" {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if bytes.IndexByte(data[:min(len(data), 8000)], 0) >= 0 {
			return nil // a binary
		}
		n++
		visit(name, data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 50 {
		t.Fatalf("found %d files; the rules would check nothing", n)
	}
}

func TestFilesAreSmallAndNamedByNouns(t *testing.T) {
	t.Parallel()
	files(t, func(name string, data []byte) {
		if !strings.HasSuffix(name, ".go") {
			return
		}
		if lines := bytes.Count(data, []byte("\n")); lines > maxLines {
			t.Errorf("%s has %d lines, more than %d: split it by nouns", name, lines, maxLines)
		}
		for _, part := range strings.Split(strings.TrimSuffix(strings.TrimSuffix(name, ".go"), "_test"), "/") {
			if vague.MatchString(part) {
				t.Errorf("%s: %q says nothing about what is in it", name, part)
			}
		}
	})
}

func TestTypesAreNamedByNouns(t *testing.T) {
	t.Parallel()
	ours, _ := packages(t)
	for _, p := range ours {
		fset := token.NewFileSet()
		for _, f := range sources(t, fset, p) {
			for _, decl := range f.Decls {
				gen, ok := decl.(*ast.GenDecl)
				if !ok || gen.Tok != token.TYPE {
					continue
				}
				for _, spec := range gen.Specs {
					ts := spec.(*ast.TypeSpec)
					if vagueType.MatchString(ts.Name.Name) {
						t.Errorf("%s: type %s: the name says nothing about what it is", fset.Position(ts.Pos()), ts.Name.Name)
					}
				}
			}
		}
	}
}

func TestPackagesAreDocumented(t *testing.T) {
	t.Parallel()
	ours, _ := packages(t)
	for _, p := range ours {
		if len(p.GoFiles) == 0 {
			continue
		}
		switch {
		case p.Doc == "":
			t.Errorf("%s has no package comment", p.ImportPath)
		case p.Name == "main":
			if !strings.HasPrefix(p.Doc, "Command ") && !strings.HasPrefix(strings.ToLower(p.Doc), path.Base(p.ImportPath)) {
				t.Errorf("%s: the comment of a program begins with its name or \"Command\": %q", p.ImportPath, p.Doc)
			}
		case !strings.HasPrefix(p.Doc, "Package "+p.Name+" "):
			t.Errorf("%s: the comment begins with %q, not \"Package %s\"", p.ImportPath, p.Doc, p.Name)
		}
	}
}

// TestNothingOfOneMachine keeps paths and addresses of the machine that
// somebody worked on out of the project.
func TestNothingOfOneMachine(t *testing.T) {
	t.Parallel()
	local := regexp.MustCompile(strings.Join([]string{
		`/work/(main|shared|\.)`, `/tmp/[wW]/`, `/root/(go|\.)`, `/home/[a-z]+/(go|src|work)`, `/Users/[a-z]+/`,
		`registry\.npm` + `js\.org`, `proxy\.golang` + `\.org`, `deb\.debian` + `\.org`, `verdaccio|artifactory|goproxy\.`,
		`\b10\.255\.`,
	}, "|"))
	files(t, func(name string, data []byte) {
		if strings.HasPrefix(name, "internal/arch/") {
			return // the patterns themselves
		}
		sc := bufio.NewScanner(bytes.NewReader(data))
		sc.Buffer(nil, 1<<24)
		for n := 1; sc.Scan(); n++ {
			if hit := local.Find(sc.Bytes()); hit != nil {
				t.Errorf("%s:%d mentions %q, which is of one machine only", name, n, hit)
			}
		}
	})
}
