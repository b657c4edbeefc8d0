package strictyaml

import (
	"reflect"
)

// Schema returns the JSON Schema (draft 2020-12) of the values that a
// [Decoder] takes for t. What custom says of a type stands in the place of
// what the type tells by itself; it may be nil, and returns nil for the types
// that it does not know.
func Schema(t reflect.Type, custom func(reflect.Type) map[string]any) map[string]any {
	if custom == nil {
		custom = func(reflect.Type) map[string]any { return nil }
	}
	return schema(t, field{}, custom)
}

func schema(t reflect.Type, f field, custom func(reflect.Type) map[string]any) map[string]any {
	if s := custom(t); s != nil {
		return s
	}
	switch {
	case isNode(t), t == typeIgnored:
		return map[string]any{}
	case t == typeValue:
		return map[string]any{"type": []string{"string", "number", "boolean"}}
	case reflect.PointerTo(t).Implements(typeMapping):
		elem := reflect.New(t).Interface().(mapping).element()
		return map[string]any{"type": []string{"object", "null"}, "additionalProperties": schema(elem, field{}, custom)}
	case reflect.PointerTo(t).Implements(typeTexter):
		return map[string]any{"type": "string"}
	case t == typeDuration:
		if f.never {
			return map[string]any{"type": "string", "pattern": durationPattern + "|^never$"}
		}
		return map[string]any{"type": "string", "pattern": durationPattern}
	case f.bytes && t.Kind() != reflect.Slice && t.Kind() != reflect.Map:
		return map[string]any{"type": []string{"string", "integer"}, "pattern": sizeForm.String(), "minimum": 0}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schema(t.Elem(), f, custom)
	case reflect.Struct:
		return object(t, custom)
	case reflect.Map:
		return map[string]any{"type": []string{"object", "null"}, "additionalProperties": schema(t.Elem(), field{enum: f.enum, bytes: f.bytes}, custom)}
	case reflect.Slice:
		item := schema(t.Elem(), field{enum: f.enum, bytes: f.bytes}, custom)
		list := map[string]any{"type": "array", "items": item}
		if f.one {
			return map[string]any{"anyOf": []any{list, item}}
		}
		return list
	case reflect.Interface:
		return map[string]any{}
	case reflect.String:
		s := map[string]any{"type": "string"}
		if len(f.enum) > 0 {
			s["enum"] = f.enum
		}
		return s
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	}
	return map[string]any{"type": "integer"}
}

const durationPattern = `^([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$`

func object(t reflect.Type, custom func(reflect.Type) map[string]any) map[string]any {
	props := make(map[string]any)
	var required []string
	for _, f := range fields(t) {
		s := schema(f.typ, f, custom)
		if f.refuse != "" { // empty is all that is accepted
			s = map[string]any{"enum": []any{nil, []any{}, map[string]any{}}, "description": f.refuse}
		}
		if f.doc != "" {
			s["description"] = f.doc
		}
		props[f.key] = s
		if f.required {
			required = append(required, f.key)
		}
	}
	s := map[string]any{"type": []string{"object", "null"}, "properties": props, "additionalProperties": false}
	if required != nil {
		s["required"], s["type"] = required, "object"
	}
	return s
}
