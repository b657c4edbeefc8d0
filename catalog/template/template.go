package template

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

var (
	termForm  = regexp.MustCompile(`{{.*?}}|[^{}]+`)
	driveForm = regexp.MustCompile(`^[a-zA-Z]:\\`)
	driveRoot = regexp.MustCompile(`^([a-zA-Z]):/`)
)

// Evaluate returns the value of a text: a string, or for a text that is one
// term alone whatever the setting holds. settings is not changed.
func Evaluate(text string, settings map[string]any) any {
	terms := termForm.FindAllString(text, -1)
	switch len(terms) {
	case 0:
		return ""
	case 1:
		return evaluate(terms[0], settings)
	}
	var b strings.Builder
	for _, t := range terms {
		fmt.Fprint(&b, evaluate(t, settings))
	}
	return b.String()
}

// Text is Evaluate for a place that holds one text.
func Text(text string, settings map[string]any) string {
	return fmt.Sprint(Evaluate(text, settings))
}

// List evaluates each text; one whose value is a list gives as many items as
// the list has.
func List(texts []string, settings map[string]any) []string {
	var out []string
	for _, text := range texts {
		value := Evaluate(text, settings)
		if items, ok := list(value); ok {
			for i := range items.Len() {
				out = append(out, fmt.Sprint(items.Index(i).Interface()))
			}
			continue
		}
		out = append(out, fmt.Sprint(value))
	}
	return out
}

// parse parts a term into its path and its filters; ok is false for text
// between terms.
func parse(term string) (path string, filters []string, ok bool) {
	if !strings.HasPrefix(term, "{{") || !strings.HasSuffix(term, "}}") {
		return "", nil, false
	}
	path, rest, found := strings.Cut(term[2:len(term)-2], "|")
	if found {
		filters = strings.Split(rest, "|")
	}
	return path, filters, true
}

func evaluate(term string, settings map[string]any) any {
	path, filters, ok := parse(term)
	if !ok {
		return term
	}
	value := dig(path, settings)
	for _, f := range filters {
		if apply := filter(f); apply != nil {
			value = apply(value)
		}
	}
	return value
}

// filter returns what a filter does, nil for one that does nothing.
func filter(f string) func(any) any {
	switch strings.TrimSpace(f) {
	case "volume":
		return func(v any) any { return each(v, volume) }
	case "volume-target":
		return func(v any) any { return each(v, target) }
	case "into":
		return func(v any) any { return into(v) }
	case "first":
		return func(v any) any { return item(v, func(int) int { return 0 }) }
	case "last":
		return func(v any) any { return item(v, func(n int) int { return n - 1 }) }
	}
	if rest, ok := strings.CutPrefix(f, "or:"); ok {
		return func(v any) any { return or(v, rest) }
	}
	if rest, ok := strings.CutPrefix(f, "mount_as:"); ok {
		return func(v any) any { return mountAs(v, rest) }
	}
	return nil
}

func dig(path string, settings map[string]any) any {
	for {
		top, rest, nested := strings.Cut(path, ".")
		value := settings[strings.TrimSpace(top)]
		if !nested {
			if value == nil {
				return ""
			}
			return value
		}
		var ok bool
		if settings, ok = value.(map[string]any); !ok {
			return ""
		}
		path = rest
	}
}

func list(value any) (reflect.Value, bool) {
	v := reflect.ValueOf(value)
	return v, v.Kind() == reflect.Slice
}

func each(value any, f func(string) string) any {
	items, ok := list(value)
	if !ok {
		return f(fmt.Sprint(value))
	}
	out := make([]string, items.Len())
	for i := range out {
		out[i] = f(fmt.Sprint(items.Index(i).Interface()))
	}
	return out
}

func volume(source string) string {
	if source == "" {
		return ""
	}
	return source + ":" + target(source)
}

func target(path string) string {
	if !driveForm.MatchString(path) {
		return path
	}
	return driveRoot.ReplaceAllString(strings.ReplaceAll(path, `\`, "/"), "/$1/")
}

func into(value any) []string {
	items, ok := list(value)
	if !ok {
		return []string{fmt.Sprint(value)}
	}
	out := make([]string, items.Len())
	for i := range out {
		out[i] = fmt.Sprint(items.Index(i).Interface())
	}
	return out
}

func item(value any, at func(n int) int) string {
	items, ok := list(value)
	switch {
	case !ok:
		return fmt.Sprint(value)
	case items.Len() == 0:
		return ""
	}
	return fmt.Sprint(items.Index(at(items.Len())).Interface())
}

func or(value any, other string) any {
	items, ok := list(value)
	switch {
	case ok && items.Len() > 0:
		return value
	case ok && strings.HasPrefix(other, "[") && strings.HasSuffix(other, "]"):
		inner := other[1 : len(other)-1]
		if inner == "" {
			return []string{}
		}
		return strings.Split(inner, ",")
	case ok || value == "":
		return other
	}
	return fmt.Sprint(value)
}

func mountAs(value any, as string) string {
	if items, ok := list(value); ok {
		if items.Len() == 0 {
			return ""
		}
		value = items.Index(0).Interface()
	}
	if value == nil || value == "" {
		return ""
	}
	return fmt.Sprintf("%v:%s", value, strings.TrimSpace(as))
}
