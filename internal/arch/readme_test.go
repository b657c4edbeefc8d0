package arch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// blocks returns the fenced code blocks of a Markdown text in one language.
func blocks(text, lang string) (all []string) {
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, "\n```"+lang+"\n")
		if !ok {
			return all
		}
		block, after, ok := strings.Cut(after, "\n```")
		if !ok {
			return all
		}
		all = append(all, block)
		rest = "\n" + after
	}
}

// code is text without its indentation and its comments of a line's length,
// so that an excerpt of an indented function compares equal.
func code(text string) string {
	var b strings.Builder
	b.WriteString("\n")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "//") {
			continue
		}
		b.WriteString(line)
		b.WriteString("\n")
	}
	return b.String()
}

// TestGuidesShowCompiledCode holds every Go block of the README and of the
// package comment of the root against the Go files of the project: it must be
// an excerpt of one, so that the compiler has seen it.
func TestGuidesShowCompiledCode(t *testing.T) {
	t.Parallel()
	var compiled []string
	files(t, func(name string, data []byte) {
		if strings.HasSuffix(name, ".go") && name != "doc.go" {
			compiled = append(compiled, code(string(data)))
		}
	})
	check := func(where, block string) {
		want := code(block)
		for _, text := range compiled {
			if strings.Contains(text, want) {
				return
			}
		}
		t.Errorf("%s shows code that no file of the project holds:\n%s", where, block)
	}

	for _, name := range []string{"README.md", "ARCHITECTURE.md"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		found := blocks(string(text), "go")
		if name == "README.md" && len(found) == 0 {
			t.Errorf("%s has no Go code; this test checks nothing", name)
		}
		for _, block := range found {
			check(name, block)
		}
	}

	text, err := os.ReadFile(filepath.Join(root, "doc.go"))
	if err != nil {
		t.Fatal(err)
	}
	var block strings.Builder
	flush := func() {
		if block.Len() > 0 {
			check("doc.go", block.String())
			block.Reset()
		}
	}
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "//\t"):
			block.WriteString(strings.TrimPrefix(line, "//\t"))
		case strings.TrimSpace(line) == "//":
			if block.Len() > 0 {
				block.WriteString("\n")
			}
		default:
			flush()
		}
	}
	flush()
}
