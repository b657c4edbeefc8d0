package config_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
	"golang.org/x/tools/txtar"

	"github.com/gatehouse-mcp/gatehouse/gateway/config"
)

// TestSchemaFile holds schema.json against the Go types. To write it anew:
//
//	go test ./gateway/config -run TestSchemaFile -update
func TestSchemaFile(t *testing.T) {
	t.Parallel()
	const name = "schema.json"
	want := config.Schema(nil)
	if *update {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is out of date: run go test ./gateway/config -run TestSchemaFile -update", name)
	}
}

func compile(t *testing.T, schema []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("config.json") // checks it against the draft's own schema
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance reads a file as an editor does.
func instance(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestSchemaAcceptsWhatLoads validates every file that loads, by the schema
// that knows no program's kinds and by that of the program.
func TestSchemaAcceptsWhatLoads(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{"full": []byte(full)}
	archives, err := filepath.Glob(filepath.Join("testdata", "clients", "*.txtar"))
	if err != nil || len(archives) == 0 {
		t.Fatal("no files of clients")
	}
	for _, path := range archives {
		ar, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[path] = ar.Files[0].Data
	}
	open, own := compile(t, config.Schema(nil)), compile(t, config.Schema(new(world).kinds()))
	for name, data := range files {
		doc := instance(t, data)
		if err := open.Validate(doc); err != nil {
			t.Errorf("%s, open schema: %v", name, err)
		}
		if err := own.Validate(doc); err != nil {
			t.Errorf("%s, the program's schema: %v", name, err)
		}
	}
}

// TestSchemaRefuses checks that an editor marks what Load refuses, as far as a
// schema can say it.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	s := compile(t, config.Schema(new(world).kinds()))
	for _, text := range []string{
		`lisen: x`,
		`version: 2`,
		`listen: 8811`,
		`admin: {disabled: "no"}`,
		`catalogs: []`,
		`telemetry: {}`,
		`servers: {a: {}}`,
		`servers: {a: }`,
		`servers: {a: {command: x, instance: each}}`,
		`servers: {a: {command: x, arg: []}}`,
		`servers: {a: {command: x, args: x}}`,
		`servers: {a: {command: x, env: [A]}}`,
		`servers: {a: {command: x, idleTimeout: 30}}`,
		`servers: {a: {command: x, startTimeout: never}}`,
		`servers: {a: {command: x, maxLine: 1.5G}}`,
		`servers: {a: {command: x, autoApprove: []}}`,
		`mcpServers: {a: {command: x, disabledTools: [a]}}`,
		`mcpServers: {a: {command: x, oauth: true}}`,
		`interceptors: [lgo]`,
		`interceptors: [{limit: {perMinute: 1, per: 2}}]`,
		`secrets: {x: {kind: vlt}}`,
		`secrets: {vault: {}}`,
		`runtime: {driver: bx}`,
		`runtime: {driver: box, size: 1}`,
		`auth: key`,
	} {
		if s.Validate(instance(t, []byte(text))) == nil {
			t.Errorf("the schema accepts %s", text)
		}
		if cfg, err := config.Load(t.Context(), write(t, "f.yaml", text), new(world).kinds()); err == nil {
			_ = cfg.Close()
			t.Errorf("Load accepts %s", text)
		}
	}
}

// TestSchemaDescribes checks that an editor has a text to show for every key.
func TestSchemaDescribes(t *testing.T) {
	t.Parallel()
	var walk func(path string, v any)
	walk = func(path string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			return
		}
		if props, ok := m["properties"].(map[string]any); ok {
			for key, p := range props {
				if d, _ := p.(map[string]any)["description"].(string); d == "" && key != "kind" && key != "driver" {
					t.Errorf("%s.%s has no description", path, key)
				}
				walk(path+"."+key, p)
			}
		}
		walk(path+".*", m["additionalProperties"])
	}
	var doc any
	if err := json.Unmarshal(config.Schema(nil), &doc); err != nil {
		t.Fatal(err)
	}
	walk("", doc)
}
