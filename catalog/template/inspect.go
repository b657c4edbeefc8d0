package template

import (
	"regexp"
	"slices"
	"strings"
)

// Is reports whether a text has a term.
func Is(text string) bool {
	for _, t := range termForm.FindAllString(text, -1) {
		if _, _, ok := parse(t); ok {
			return true
		}
	}
	return false
}

// Paths returns the settings that a text names, each once, in order, without
// the blanks around their parts. One of an empty term is "".
func Paths(text string) []string {
	var out []string
	for _, t := range termForm.FindAllString(text, -1) {
		path, _, ok := parse(t)
		if !ok {
			continue
		}
		parts := strings.Split(path, ".")
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		if path = strings.Join(parts, "."); !slices.Contains(out, path) {
			out = append(out, path)
		}
	}
	return out
}

// Ignored returns the filters of a text that do nothing, as they are written.
func Ignored(text string) []string {
	var out []string
	for _, t := range termForm.FindAllString(text, -1) {
		_, filters, _ := parse(t)
		for _, f := range filters {
			if filter(f) == nil && !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out
}

// Stray reports whether a text with a term has braces that belong to none, and
// so disappear.
func Stray(text string) bool {
	return Is(text) && strings.ContainsAny(strings.Join(termForm.Split(text, -1), ""), "{}")
}

var variableForm = regexp.MustCompile(`\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})`)

// Variables returns the names of the variables that a text holds as $NAME or
// ${NAME}, each once, in order: Docker's gateway puts secrets there, in
// headers and arguments, and in the values of variables that have no term.
func Variables(text string) []string {
	var out []string
	for _, m := range variableForm.FindAllStringSubmatch(text, -1) {
		if name := m[1] + m[2]; !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}
