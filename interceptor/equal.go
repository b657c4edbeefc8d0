package interceptor

import (
	"encoding/json"
	"reflect"
)

// deepest bounds the comparison of two views: whatever holds itself is not
// equal to anything, and fails when it is encoded.
const deepest = 1000

// equal reports whether two values hold the same, as reflect.DeepEqual does
// for values without cycles.
func equal(a, b reflect.Value, depth int) bool {
	if a.IsValid() != b.IsValid() || !a.IsValid() {
		return a.IsValid() == b.IsValid()
	}
	if a.Type() != b.Type() || depth > deepest {
		return false
	}
	switch a.Kind() {
	case reflect.String:
		return a.String() == b.String()
	case reflect.Bool:
		return a.Bool() == b.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return a.Int() == b.Int()
	case reflect.Pointer:
		return a.UnsafePointer() == b.UnsafePointer() || equal(a.Elem(), b.Elem(), depth+1)
	case reflect.Interface:
		if a.CanInterface() && a.NumMethod() == 0 {
			if same, ok := equalJSON(a.Interface(), b.Interface(), depth); ok {
				return same
			}
		}
		return equal(a.Elem(), b.Elem(), depth+1)
	case reflect.Struct:
		for i := range a.NumField() {
			if !equal(a.Field(i), b.Field(i), depth+1) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.IsNil() != b.IsNil() || a.Len() != b.Len() {
			return false
		}
		if a.Type().Elem().Kind() == reflect.Uint8 {
			return string(a.Bytes()) == string(b.Bytes())
		}
		for i := range a.Len() {
			if !equal(a.Index(i), b.Index(i), depth+1) {
				return false
			}
		}
		return true
	case reflect.Map:
		if a.IsNil() != b.IsNil() || a.Len() != b.Len() {
			return false
		}
		if a.CanInterface() {
			if same, ok := equalJSON(a.Interface(), b.Interface(), depth); ok {
				return same
			}
		}
		for it := a.MapRange(); it.Next(); {
			v := b.MapIndex(it.Key())
			if !v.IsValid() || !equal(it.Value(), v, depth+1) {
				return false
			}
		}
		return true
	}
	return a.CanInterface() && b.CanInterface() && reflect.DeepEqual(a.Interface(), b.Interface())
}

// equalJSON is equal for what a decoder makes of JSON; ok is false for other
// types.
func equalJSON(a, b any, depth int) (same, ok bool) {
	if depth > deepest {
		return false, true
	}
	switch a := a.(type) {
	case nil:
		return b == nil, true
	case string:
		s, is := b.(string)
		return is && a == s, true
	case bool:
		s, is := b.(bool)
		return is && a == s, true
	case float64:
		s, is := b.(float64)
		return is && a == s, true
	case json.Number:
		s, is := b.(json.Number)
		return is && a == s, true
	case map[string]any:
		s, is := b.(map[string]any)
		if !is || len(a) != len(s) || (a == nil) != (s == nil) {
			return false, true
		}
		for k, v := range a {
			w, has := s[k]
			if !has {
				return false, true
			}
			if !equalAny(v, w, depth+1) {
				return false, true
			}
		}
		return true, true
	case []any:
		s, is := b.([]any)
		if !is || len(a) != len(s) || (a == nil) != (s == nil) {
			return false, true
		}
		for i, v := range a {
			if !equalAny(v, s[i], depth+1) {
				return false, true
			}
		}
		return true, true
	}
	return false, false
}

func equalAny(a, b any, depth int) bool {
	same, ok := equalJSON(a, b, depth)
	return same || !ok && equal(reflect.ValueOf(a), reflect.ValueOf(b), depth)
}
