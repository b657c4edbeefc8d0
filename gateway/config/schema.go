package config

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"github.com/gatehouse-mcp/gatehouse/internal/strictyaml"
)

// Schema returns the JSON Schema (draft 2020-12) of the files that [Load]
// reads with k. With nil it describes the files of any program: the names of
// kinds and their options are open. That is schema.json of this package.
func Schema(k *Kinds) []byte {
	s := strictyaml.Schema(reflect.TypeFor[file](), func(t reflect.Type) map[string]any { return custom(t, k) })
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "Configuration of a Gatehouse gateway"
	props := s["properties"].(map[string]any)
	props["version"].(map[string]any)["const"] = 1
	needed(props["servers"], "command", "url", "image")
	needed(props["mcpServers"], "command", "url", "image", "httpUrl", "serverUrl")
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil { // maps, slices and strings alone
		panic(err)
	}
	return append(b, '\n')
}

// needed says of which keys an entry of servers must have one.
func needed(servers any, keys ...string) {
	entry := servers.(map[string]any)["additionalProperties"].(map[string]any)
	var one []any
	for _, k := range keys {
		one = append(one, map[string]any{"required": []string{k}})
	}
	entry["type"], entry["anyOf"] = "object", one
}

// custom describes the sections whose form depends on the kinds; nil for all
// other types.
func custom(t reflect.Type, k *Kinds) map[string]any {
	switch t {
	case reflect.TypeFor[authSection]():
		if k == nil {
			return openChoice()
		}
		return choice(k.Auth)
	case reflect.TypeFor[chainSection]():
		items := openChoice()
		if k != nil {
			items = withGuard(choice(k.Interceptors))
		}
		return map[string]any{"type": "array", "items": items}
	case reflect.TypeFor[secretsSection]():
		if k == nil {
			return map[string]any{"type": "object", "additionalProperties": map[string]any{"type": []string{"object", "null"}, "properties": map[string]any{"kind": map[string]any{"type": "string"}}}}
		}
		return providersSchema(k)
	case reflect.TypeFor[runtimeSection]():
		if k == nil {
			return map[string]any{"type": "object", "properties": strictyaml.Schema(reflect.TypeFor[runtimeKeys](), nil)["properties"]}
		}
		return runtimeSchema(k)
	case reflect.TypeFor[networkSection]():
		return map[string]any{"anyOf": []any{
			map[string]any{"const": "none"},
			map[string]any{
				"type": "object", "additionalProperties": false, "required": []string{"allow"},
				"properties": map[string]any{"allow": map[string]any{"type": "array", "items": map[string]any{"type": "string"}}},
			},
		}}
	case reflect.TypeFor[unknownSection]():
		if k == nil {
			return map[string]any{}
		}
		return map[string]any{"not": map[string]any{}}
	}
	return nil
}

func openChoice() map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"type": "string"},
		map[string]any{"type": "object", "minProperties": 1, "maxProperties": 1},
	}}
}

// choice describes KIND or {KIND: options}.
func choice[T any](m map[string]Factory[T]) map[string]any {
	if len(m) == 0 {
		return map[string]any{"not": map[string]any{}}
	}
	props := make(map[string]any, len(m))
	for kind, f := range m {
		props[kind] = options(f)
	}
	return map[string]any{"anyOf": []any{
		map[string]any{"type": "string", "enum": names(m)},
		map[string]any{"type": "object", "properties": props, "additionalProperties": false, "minProperties": 1, "maxProperties": 1},
	}}
}

// withGuard adds the interceptor that every gateway has.
func withGuard(of map[string]any) map[string]any {
	guard := []any{
		map[string]any{"const": guardKind},
		map[string]any{"type": "object", "required": []string{guardKind}, "additionalProperties": false, "properties": map[string]any{
			guardKind: strictyaml.Schema(reflect.TypeFor[guardOptions](), nil),
		}},
	}
	if anyOf, ok := of["anyOf"].([]any); ok {
		guard = append(anyOf, guard...)
	}
	return map[string]any{"anyOf": guard}
}

// options describes the options of a kind.
func options[T any](f Factory[T]) map[string]any {
	return strictyaml.Schema(reflect.TypeOf(f.Options()).Elem(), nil)
}

// with adds a key that names the kind beside its options.
func with(schema map[string]any, key string, value map[string]any, required bool) map[string]any {
	schema = maps.Clone(schema)
	props := maps.Clone(schema["properties"].(map[string]any))
	props[key] = value
	schema["properties"] = props
	if required {
		old, _ := schema["required"].([]string)
		schema["required"], schema["type"] = append(slices.Clone(old), key), "object"
	}
	return schema
}

// providersSchema describes NAME: {kind: KIND, ttl: DURATION, options…}; a
// name that is a kind needs no kind.
func providersSchema(k *Kinds) map[string]any {
	props := make(map[string]any)
	head := strictyaml.Schema(reflect.TypeFor[providerHead](), nil)["properties"].(map[string]any)
	form := func(kind string, o map[string]any, required bool) map[string]any {
		return with(o, "kind", map[string]any{"const": kind}, required)
	}
	kinds := make(map[string]map[string]any)
	for _, kind := range names(k.Secrets) {
		kinds[kind] = with(options(k.Secrets[kind]), "ttl", head["ttl"].(map[string]any), false)
	}
	kinds[chainKind] = strictyaml.Schema(reflect.TypeFor[chainOptions](), nil)
	var forms []any
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		forms = append(forms, form(kind, kinds[kind], true))
	}
	for kind, o := range kinds {
		props[kind] = map[string]any{"anyOf": append([]any{form(kind, o, false)}, forms...)}
	}
	return map[string]any{"type": "object", "properties": props, "additionalProperties": map[string]any{"anyOf": forms}}
}

// runtimeSchema describes {driver: KIND, options…}.
func runtimeSchema(k *Kinds) map[string]any {
	var forms []any
	keys := strictyaml.Schema(reflect.TypeFor[runtimeKeys](), nil)["properties"].(map[string]any)
	for _, kind := range names(k.Runtimes) {
		form := with(options(k.Runtimes[kind]), "driver", map[string]any{"const": kind}, kind != k.Driver)
		for _, key := range []string{"confine", "ceiling"} {
			form = with(form, key, keys[key].(map[string]any), false)
		}
		forms = append(forms, form)
	}
	if forms == nil {
		return map[string]any{"not": map[string]any{}}
	}
	return map[string]any{"anyOf": forms}
}
