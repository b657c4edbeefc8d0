package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// forbidden are the names of the standard library that library code does not
// use: it neither reads the environment nor writes to the process's output,
// and it shares no state with other code of the process. A program (package
// main) may.
var forbidden = map[string]map[string]string{
	"os": {
		"Getenv": "reads the environment", "LookupEnv": "reads the environment",
		"Environ": "reads the environment", "ExpandEnv": "reads the environment",
		"Setenv": "changes the environment", "Unsetenv": "changes the environment",
		"Stdout": "is the program's", "Stderr": "is the program's", "Stdin": "is the program's",
		"Exit": "ends the program", "Chdir": "changes the process",
	},
	"fmt": {
		"Print": "writes to stdout", "Println": "writes to stdout", "Printf": "writes to stdout",
	},
	"log": {
		"Print": "is the global logger", "Printf": "is the global logger", "Println": "is the global logger",
		"Fatal": "ends the program", "Fatalf": "ends the program", "Default": "is the global logger",
	},
	"log/slog": {
		"Info": "is the global logger", "Warn": "is the global logger", "Error": "is the global logger",
		"Debug": "is the global logger", "Default": "is the global logger", "SetDefault": "changes the global logger",
	},
	"net/http": {
		"Handle": "changes the global mux", "HandleFunc": "changes the global mux",
		"DefaultServeMux": "is global", "DefaultClient": "has no timeout",
	},
}

// permitted are the exceptions, "file: package.Name", with their reasons.
var permitted = map[string]string{
	"runtime/runtimetest/probe.go: os.Environ":  probeReason,
	"runtime/runtimetest/probe.go: os.Stderr":   probeReason,
	"runtime/runtimetest/probe.go: os.Stdin":    probeReason,
	"runtime/runtimetest/probe.go: os.Stdout":   probeReason,
	"runtime/runtimetest/probe.go: fmt.Println": probeReason,
}

const probeReason = "the probe is the server under test: a process of its own, made from the test binary"

// globals are the exceptions of TestNoGlobals, "file: name", with their reasons.
var globals = map[string]string{
	"runtime/sandbox/init_linux.go: initialised": "whether the program's main called Init is a fact of the program, not of a Runtime",
	"runtime/process/watch_unix.go: canWatch":    "whether the program's main called Init is a fact of the program, not of a Runtime",
}

// sources parses the files of p that are not tests, those for other systems
// included.
func sources(t *testing.T, fset *token.FileSet, p pkg) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	for _, name := range append(append([]string(nil), p.GoFiles...), p.IgnoredGo...) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = f
	}
	return files
}

func TestLibraryTouchesNothingOfTheProcess(t *testing.T) {
	t.Parallel()
	ours, _ := packages(t)
	used := map[string]bool{}
	for _, p := range ours {
		if !p.library() {
			continue
		}
		fset := token.NewFileSet()
		for name, f := range sources(t, fset, p) {
			imports := map[string]string{}
			for _, spec := range f.Imports {
				path, _ := strconv.Unquote(spec.Path.Value)
				local := path[strings.LastIndex(path, "/")+1:]
				if spec.Name != nil {
					local = spec.Name.Name
				}
				imports[local] = path
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					if n.Recv == nil && n.Name.Name == "init" {
						t.Errorf("%s: func init; a library does nothing before it is asked to", fset.Position(n.Pos()))
					}
				case *ast.SelectorExpr:
					x, ok := n.X.(*ast.Ident)
					if !ok {
						return true
					}
					path := imports[x.Name]
					why, bad := forbidden[path][n.Sel.Name]
					if !bad {
						return true
					}
					key := p.rel() + "/" + name + ": " + path + "." + n.Sel.Name
					if _, ok := permitted[key]; ok {
						used[key] = true
						return true
					}
					t.Errorf("%s: %s.%s %s; take a value from the caller instead", fset.Position(n.Pos()), path, n.Sel.Name, why)
				case *ast.CallExpr:
					if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "print" || id.Name == "println") {
						t.Errorf("%s: %s", fset.Position(n.Pos()), id.Name)
					}
				}
				return true
			})
		}
	}
	for key := range permitted {
		if !used[key] {
			t.Errorf("the exception %q is not needed any more", key)
		}
	}
}

// TestNoGlobals finds package-level variables that anything in their package
// changes. Tables, errors and sync.Pool are fine: two gateways in one process
// cannot see each other through them.
func TestNoGlobals(t *testing.T) {
	t.Parallel()
	ours, _ := packages(t)
	for _, p := range ours {
		if !p.library() {
			continue
		}
		fset := token.NewFileSet()
		var files []*ast.File
		parsed := sources(t, fset, p)
		for _, name := range p.GoFiles {
			files = append(files, parsed[name])
		}
		info := &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
		// Imports are left unresolved: names of this package are enough.
		conf := types.Config{Error: func(error) {}, Importer: nothing{}, FakeImportC: true}
		tp, _ := conf.Check(p.ImportPath, fset, files, info)

		global := func(e ast.Expr) *types.Var {
			for {
				switch x := e.(type) {
				case *ast.Ident:
					if v, ok := info.Uses[x].(*types.Var); ok && v.Parent() == tp.Scope() {
						return v
					}
					return nil
				case *ast.SelectorExpr:
					e = x.X
				case *ast.IndexExpr:
					e = x.X
				case *ast.StarExpr:
					e = x.X
				case *ast.ParenExpr:
					e = x.X
				default:
					return nil
				}
			}
		}
		changed := func(e ast.Expr, how string) {
			if v := global(e); v != nil {
				t.Errorf("%s: package-level variable %s is %s; keep state in a value", fset.Position(e.Pos()), v.Name(), how)
			}
		}
		for _, f := range files {
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.AssignStmt:
					for _, lhs := range n.Lhs {
						changed(lhs, "assigned to")
					}
				case *ast.IncDecStmt:
					changed(n.X, "counted")
				case *ast.UnaryExpr:
					if n.Op == token.AND {
						if id, ok := n.X.(*ast.Ident); ok {
							changed(id, "handed out by address")
						}
					}
				case *ast.CallExpr:
					if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "delete" || id.Name == "clear") && len(n.Args) > 0 {
						changed(n.Args[0], "changed")
					}
				}
				return true
			})
			for _, decl := range f.Decls {
				gen, ok := decl.(*ast.GenDecl)
				if !ok || gen.Tok != token.VAR {
					continue
				}
				for _, spec := range gen.Specs {
					vs := spec.(*ast.ValueSpec)
					typ := vs.Type
					if len(vs.Values) == 1 {
						if lit, ok := vs.Values[0].(*ast.CompositeLit); ok && typ == nil {
							typ = lit.Type
						}
					}
					sel, ok := typ.(*ast.SelectorExpr)
					if !ok {
						continue
					}
					x, ok := sel.X.(*ast.Ident)
					if !ok {
						continue
					}
					key := p.rel() + "/" + filepath.Base(fset.Position(vs.Pos()).Filename) + ": " + vs.Names[0].Name
					if _, ok := globals[key]; ok {
						continue
					}
					if x.Name == "atomic" || x.Name == "sync" && sel.Sel.Name != "Pool" {
						t.Errorf("%s: package-level %s.%s; keep state in a value", fset.Position(vs.Pos()), x.Name, sel.Sel.Name)
					}
				}
			}
		}
	}
}

// nothing resolves no import.
type nothing struct{}

func (nothing) Import(path string) (*types.Package, error) {
	return nil, &types.Error{Msg: "not resolved: " + path}
}
