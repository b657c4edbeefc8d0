package strictyaml

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// valueType is the type of a scalar in the core schema of YAML 1.2.
type valueType int

const (
	typeText valueType = iota
	typeNull
	typeBool
	typeInt
	typeFloat
	typeOther // an explicit tag that is none of the above
)

var (
	intForm   = regexp.MustCompile(`^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$`)
	floatForm = regexp.MustCompile(`^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$`)
)

func scalarType(y *yaml.Node) valueType {
	if y.Style&yaml.TaggedStyle != 0 {
		switch y.Tag {
		case "!!str":
			return typeText
		case "!!int", "!!float", "!!bool", "!!null":
		default:
			return typeOther
		}
	} else if y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return typeText
	}
	switch y.Value {
	case "", "~", "null", "Null", "NULL":
		return typeNull
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return typeBool
	}
	switch {
	case intForm.MatchString(y.Value):
		return typeInt
	case floatForm.MatchString(y.Value):
		return typeFloat
	}
	return typeText
}

// describe names the type of a value, never the value.
func describe(y *yaml.Node) string {
	switch y = deref(y); y.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch scalarType(y) {
	case typeNull:
		return "empty"
	case typeBool:
		return "true or false"
	case typeInt, typeFloat:
		return "a number"
	case typeOther:
		return "a value with the tag " + y.Tag
	}
	return "text"
}

func parseInt(s string) (int64, error) {
	switch {
	case strings.HasPrefix(s, "0o"):
		return strconv.ParseInt(s[2:], 8, 64)
	case strings.HasPrefix(s, "0x"):
		return strconv.ParseInt(s[2:], 16, 64)
	}
	return strconv.ParseInt(s, 10, 64)
}

func parseFloat(s string) (float64, error) {
	switch strings.ToLower(strings.TrimLeft(s, "+-")) {
	case ".inf":
		if s[0] == '-' {
			return math.Inf(-1), nil
		}
		return math.Inf(1), nil
	case ".nan":
		return math.NaN(), nil
	}
	return strconv.ParseFloat(s, 64)
}

var sizeForm = regexp.MustCompile(`^([0-9]+) ?(B|KiB|MiB|GiB|kB|KB|MB|GB)?$`)

// parseSize reads a number of bytes.
func parseSize(s string) (int64, bool) {
	m := sizeForm.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	unit := map[string]int64{
		"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9,
	}[m[2]]
	if err != nil || n > math.MaxInt64/unit {
		return 0, false
	}
	return n * unit, true
}

// parseDuration reads a duration with a unit.
func parseDuration(s string) (time.Duration, string) {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil && intForm.MatchString(s):
		return 0, "has no unit: write " + s + "s or " + s + "m"
	case err != nil:
		return 0, "is no duration: write one such as 30s, 5m or 1h30m"
	case s == "0" || d == 0:
		return 0, "is zero: leave the key out for the default"
	case d < 0:
		return 0, "is negative"
	}
	return d, ""
}
