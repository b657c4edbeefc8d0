package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// place is what a reference names.
type place struct {
	path    string
	escaped string // as it stands in a URL
	field   string // empty: the only one
	version int    // 0: the latest
}

// place reads a reference.
func (c *Client) place(ref secrets.Ref) (place, error) {
	path, field := ref.Cut()
	path, query, asks := strings.Cut(path, "?")
	p := place{path: path, field: field}
	var err error
	if p.escaped, err = escape(path); err != nil {
		return p, fmt.Errorf("%q: %w", string(ref), err)
	}
	if asks {
		number, ok := strings.CutPrefix(query, "version=")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || n < 1 || c.o.Engine != kv2 {
			return p, fmt.Errorf("%q: behind the ? may stand version=N alone, with the engine %s", string(ref), kv2)
		}
		p.version = n
	}
	return p, nil
}

// escape checks a path and makes it part of a URL.
func escape(path string) (string, error) {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if part == "" || part == "." || part == ".." || strings.ContainsFunc(part, control) {
			return "", fmt.Errorf("%q is no path of a secret: write NAME/NAME, without / at its ends", path)
		}
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/"), nil
}

// version is one version of a secret of the KV engine.
type version struct {
	n    int // 0 when there is none
	data map[string]any
	end  time.Time // zero: none is known
}

// at is the path of the API for a secret; kind is data or metadata.
func (c *Client) at(kind, escaped string) string {
	mount, _ := escape(c.o.Mount) // New has checked it
	if c.o.Engine == kv2 {
		mount += "/" + kind
	}
	if escaped == "" {
		return mount
	}
	return mount + "/" + escaped
}

// read reads a secret of the KV engine.
func (c *Client) read(ctx context.Context, p place) (version, error) {
	var query url.Values
	if p.version > 0 {
		query = url.Values{"version": {strconv.Itoa(p.version)}}
	}
	var v version
	a, err := c.do(ctx, http.MethodGet, c.at("data", p.escaped), query, nil)
	if r, ok := absent(err); ok {
		return c.gone(p, r)
	}
	if err != nil {
		return v, err
	}
	raw := a.Data
	if c.o.Engine == kv2 {
		d, err := c.versioned(p, a.Data)
		if err != nil {
			return v, err
		}
		raw, v.n, v.end = d.Data, d.Metadata.Version, d.Metadata.deleted()
	}
	if v.data, err = c.fields(p, raw); err != nil {
		return v, err
	}
	if ttl := v.data["ttl"]; c.o.Engine == kv1 && ttl != nil && a.LeaseDuration > 0 {
		v.end = time.Now().Add(seconds(a.LeaseDuration)) // the secret itself says how long it is good
	}
	return v, nil
}

// versioned is the data of the second KV engine.
type versioned struct {
	Data     json.RawMessage `json:"data"`
	Metadata metadata        `json:"metadata"`
}

type metadata struct {
	Version      int    `json:"version"`
	DeletionTime string `json:"deletion_time"`
	Destroyed    bool   `json:"destroyed"`
}

// deleted is when the version is or will be deleted; zero: never.
func (m metadata) deleted() time.Time {
	t, _ := time.Parse(time.RFC3339, m.DeletionTime)
	return t
}

func (c *Client) versioned(p place, raw json.RawMessage) (versioned, error) {
	var d versioned
	if json.Unmarshal(raw, &d) != nil || d.Metadata.Version == 0 { // the error may show what stands there
		return d, fmt.Errorf("what Vault at %s answers for %s is not of the KV engine, version 2: is the engine of %s another?", c.base.Host, p.path, c.o.Mount)
	}
	return d, nil
}

// gone explains why there is no secret, and returns the number of the last
// version.
func (c *Client) gone(p place, r *refusal) (version, error) {
	d, err := c.versioned(p, r.data)
	if c.o.Engine != kv2 || err != nil {
		what := "there is nothing at this path: write it, such as by kv put -mount=" + c.o.Mount + " " + p.path + " FIELD=VALUE"
		if p.version > 0 {
			what = fmt.Sprintf("there is no version %d, or nothing at this path", p.version)
		}
		return version{}, c.missing(p, what)
	}
	what := "deleted"
	if d.Metadata.Destroyed {
		what = "destroyed"
	}
	return version{n: d.Metadata.Version}, c.missing(p, fmt.Sprintf("version %d was %s: write a new one", d.Metadata.Version, what))
}

func (c *Client) missing(p place, why string) error {
	return fmt.Errorf("%s in Vault at %s: %s: %w", p.path, c.base.Host, why, secrets.ErrNotFound)
}

// fields reads the fields of a secret.
func (c *Client) fields(p place, raw json.RawMessage) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var data map[string]any
	if len(raw) == 0 || dec.Decode(&data) != nil || data == nil { // the error may show what stands there
		return nil, fmt.Errorf("what Vault at %s answers for %s holds no fields", c.base.Host, p.path)
	}
	return data, nil
}

// pick takes a field.
func (c *Client) pick(p place, data map[string]any) (string, error) {
	names := slices.Sorted(maps.Keys(data))
	if p.field == "" {
		if len(names) != 1 {
			return "", fmt.Errorf("%s in Vault at %s has the fields %s: name one behind a #", p.path, c.base.Host, strings.Join(names, ", "))
		}
		p.field = names[0]
	}
	switch v := data[p.field].(type) {
	case nil:
		return "", c.missing(p, fmt.Sprintf("it has no field %s, but %s", p.field, strings.Join(names, ", ")))
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	default: // as JSON
		b, err := json.Marshal(v)
		return string(b), err
	}
}
