package strictyaml

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// scalar fills a basic type.
func (d *Decoder) scalar(n Node, y *yaml.Node, v reflect.Value, f field) {
	typ := typeOther
	if y.Kind == yaml.ScalarNode {
		typ = scalarType(y)
	}
	wrong := func(want string) { d.Fault(n, "must be %s, not %s", want, describe(y)) }
	switch {
	case v.Type() == typeDuration:
		if f.never && y.Value == "never" && typ == typeText {
			v.SetInt(-1)
			return
		}
		if typ != typeText && typ != typeInt {
			wrong("a duration such as 30s")
			return
		}
		dur, msg := parseDuration(y.Value)
		if msg != "" {
			d.Fault(n, "%q %s", y.Value, msg)
			return
		}
		v.SetInt(int64(dur))
		return
	case f.bytes:
		if typ != typeText && typ != typeInt {
			wrong("a number of bytes such as 16MiB")
			return
		}
		size, ok := parseSize(y.Value)
		if !ok || v.OverflowInt(size) {
			d.Fault(n, "%q is no number of bytes: write one such as 4096, 64KiB or 16MiB", y.Value)
			return
		}
		v.SetInt(size)
		return
	}
	switch v.Kind() {
	case reflect.String:
		if typ != typeText {
			wrong("text")
			return
		}
		if len(f.enum) > 0 && !slices.Contains(f.enum, y.Value) {
			d.Fault(n, "%q is none of %s%s", y.Value, strings.Join(f.enum, ", "), Hint(y.Value, f.enum))
			return
		}
		v.SetString(y.Value)
	case reflect.Bool:
		if typ != typeBool {
			more := ""
			switch strings.ToLower(y.Value) {
			case "yes", "on":
				more = "; write true"
			case "no", "off":
				more = "; write false"
			}
			d.Fault(n, "must be true or false, not %s%s", describe(y), more)
			return
		}
		v.SetBool(strings.EqualFold(y.Value, "true"))
	case reflect.Float32, reflect.Float64:
		if typ != typeInt && typ != typeFloat {
			wrong("a number")
			return
		}
		x, err := parseFloat(y.Value)
		if err != nil || v.OverflowFloat(x) {
			d.Fault(n, "this number is out of range")
			return
		}
		v.SetFloat(x)
	default:
		d.integer(n, y, typ, v)
	}
}

func (d *Decoder) integer(n Node, y *yaml.Node, typ valueType, v reflect.Value) {
	if typ != typeInt {
		d.Fault(n, "must be a whole number, not %s", describeNumber(y, typ))
		return
	}
	i, err := parseInt(y.Value)
	switch {
	case err != nil:
	case v.CanUint():
		if i >= 0 && !v.OverflowUint(uint64(i)) {
			v.SetUint(uint64(i))
			return
		}
	case !v.OverflowInt(i):
		v.SetInt(i)
		return
	}
	d.Fault(n, "this number is out of range")
}

func describeNumber(y *yaml.Node, typ valueType) string {
	if typ == typeFloat {
		return "a number with a fraction"
	}
	return describe(y)
}

var (
	refForm    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	secretForm = regexp.MustCompile(`^secret://[A-Za-z0-9_-]+/[^#\s}]+(#[^#\s}]+)?$`)
	dockerForm = regexp.MustCompile(`^se://[^#\s}]+$`)
)

var errSecretForm = errors.New("a secret reference has the form secret://PROVIDER/PATH or secret://PROVIDER/PATH#FIELD")

// template checks the references in s. The form ${env:NAME} of other programs
// becomes ${NAME}. Errors name what stands between the braces, never the rest.
func template(s string) (string, error) {
	if strings.HasPrefix(s, "secret://") {
		if !secretForm.MatchString(s) {
			return "", errSecretForm
		}
		return s, nil
	}
	if strings.HasPrefix(s, "se://") {
		if !dockerForm.MatchString(s) {
			return "", fmt.Errorf("a reference of Docker's has the form se://PATH")
		}
		return s, nil
	}
	var b strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			b.WriteString(s)
			return b.String(), nil
		}
		if i > 0 && s[i-1] == '$' {
			b.WriteString(s[:i+2])
			s = s[i+2:]
			continue
		}
		name, rest, ok := strings.Cut(s[i+2:], "}")
		if !ok {
			return "", fmt.Errorf("a ${ has no }; write $${ for a plain ${")
		}
		bare := strings.TrimPrefix(name, "env:")
		before, _, _ := strings.Cut(bare, ":-")
		switch {
		case refForm.MatchString(before), secretForm.MatchString(bare):
		case strings.HasPrefix(bare, "secret://"):
			return "", errSecretForm
		case strings.HasPrefix(name, "input:"):
			return "", fmt.Errorf("${input:…} is asked for by an editor: write the name of an environment variable, ${NAME}")
		default:
			return "", fmt.Errorf("what stands in ${…} is not a name: write ${NAME}, or $${ for a plain ${")
		}
		b.WriteString(s[:i] + "${" + bare + "}")
		s = rest
	}
}
