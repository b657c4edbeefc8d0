package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// What List looks through.
const (
	maxDepth   = 16
	maxSecrets = 1000
)

// tries is how often a change is made anew when somebody else made one at the
// same time.
const tries = 3

// List implements [secrets.Lister] for the KV engine: every field of every
// secret that the token may read, and the path of those that it may only list.
// It reads each secret, and at most 1000.
func (c *Client) List(ctx context.Context) ([]secrets.Ref, error) {
	if err := c.writable(); err != nil {
		return nil, err
	}
	var all []secrets.Ref
	n := 0
	if err := c.list(ctx, "", 0, &n, &all); err != nil {
		return nil, err
	}
	slices.Sort(all)
	return all, nil
}

// writable refuses what the KV engine alone can do.
func (c *Client) writable() error {
	if c.o.Engine == dynamic {
		return fmt.Errorf("dynamic secrets are made when they are asked for, and cannot be listed or written: %w", errors.ErrUnsupported)
	}
	return nil
}

func (c *Client) list(ctx context.Context, folder string, depth int, n *int, all *[]secrets.Ref) error {
	escaped := ""
	if folder != "" {
		var err error
		if escaped, err = escape(strings.TrimSuffix(folder, "/")); err != nil {
			return nil // no reference leads there
		}
	}
	a, err := c.do(ctx, http.MethodGet, c.at("metadata", escaped), url.Values{"list": {"true"}}, nil)
	if _, ok := absent(err); ok {
		return nil
	}
	if err != nil {
		return err
	}
	var d struct {
		Keys []string `json:"keys"`
	}
	if json.Unmarshal(a.Data, &d) != nil {
		return fmt.Errorf("the list of Vault at %s is not understood", c.base.Host)
	}
	for _, key := range d.Keys {
		path := folder + key
		switch {
		case strings.ContainsAny(key, "?#"): // no reference leads there
		case !strings.HasSuffix(key, "/"):
			if *n++; *n > maxSecrets {
				return fmt.Errorf("vault at %s has more than %d secrets in %s: list them with its own command", c.base.Host, maxSecrets, c.o.Mount)
			}
			if err := c.listFields(ctx, path, all); err != nil {
				return err
			}
		case depth < maxDepth:
			if err := c.list(ctx, path, depth+1, n, all); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Client) listFields(ctx context.Context, path string, all *[]secrets.Ref) error {
	p, err := c.place(secrets.Ref(path))
	if err != nil {
		return nil // no reference leads there
	}
	v, err := c.read(ctx, p)
	switch {
	case errors.Is(err, secrets.ErrNotFound): // deleted
		return nil
	case status(err) == http.StatusForbidden:
		*all = append(*all, secrets.Ref(path))
		return nil
	}
	for field := range v.data {
		*all = append(*all, secrets.Ref(path+"#"+field))
	}
	return err
}

// Set implements [secrets.Store] for the KV engine: it writes one field and
// keeps the others, as a new version where there are versions.
func (c *Client) Set(ctx context.Context, ref secrets.Ref, s secrets.Secret) error {
	return c.change(ctx, ref, func(p place, v *version) error {
		if v.data == nil {
			v.data = map[string]any{}
		}
		v.data[p.field] = s.Reveal()
		return nil
	})
}

// Remove implements [secrets.Store] for the KV engine: it writes a version
// without a field; with the last field the secret is deleted. Older versions
// stay.
func (c *Client) Remove(ctx context.Context, ref secrets.Ref) error {
	return c.change(ctx, ref, func(p place, v *version) error {
		if v.data[p.field] == nil {
			return c.missing(p, "it has no field "+p.field)
		}
		delete(v.data, p.field)
		return nil
	})
}

func (c *Client) change(ctx context.Context, ref secrets.Ref, f func(place, *version) error) error {
	if err := c.writable(); err != nil {
		return err
	}
	p, err := c.place(ref)
	switch {
	case err != nil:
		return err
	case p.field == "":
		return fmt.Errorf("%s names no field to change: write PATH#FIELD", ref)
	case p.version > 0:
		return fmt.Errorf("%s names a version, and none can be changed: leave out the ? and what follows", ref)
	}
	for n := 1; ; n++ {
		v, err := c.read(ctx, p)
		if err != nil && !errors.Is(err, secrets.ErrNotFound) {
			return err
		}
		before := maps.Clone(v.data)
		if err := f(p, &v); err != nil {
			return err
		}
		err = c.write(ctx, p, v, len(before) > 0)
		if c.o.Engine != kv2 || status(err) != http.StatusBadRequest || n == tries {
			return err
		}
	}
}

// write writes a secret, or deletes one that is there when it has no fields.
func (c *Client) write(ctx context.Context, p place, v version, there bool) error {
	at := c.at("data", p.escaped)
	if len(v.data) == 0 && there {
		_, err := c.do(ctx, http.MethodDelete, at, nil, nil)
		return err
	}
	var body any = v.data
	if c.o.Engine == kv2 {
		body = map[string]any{"data": v.data, "options": map[string]any{"cas": v.n}}
	}
	_, err := c.do(ctx, http.MethodPost, at, nil, body)
	return err
}
