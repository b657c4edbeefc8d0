package document

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/internal/safefile"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// Stored is a provider of the secrets in a file that is read each time. It is
// not changed once it is used, and then safe for concurrent use.
type Stored struct {
	Path   string
	Format Format
	Rule   safefile.Rule

	// Open makes a document of what the file holds; nil when it is one. Its
	// errors say more than that of which file. Seal is the reverse; old is
	// what the file holds so far, nil when there is none.
	Open func(data []byte) ([]byte, error)
	Seal func(old, doc []byte) ([]byte, error)
}

var (
	_ secrets.Provider = (*Stored)(nil)
	_ secrets.Lister   = (*Stored)(nil)
	_ secrets.Store    = (*Stored)(nil)
)

// name is that of the secret in a plain file.
func (s *Stored) name() string { return strings.TrimSuffix(filepath.Base(s.Path), ".age") }

// fault names the file in an error that lies in its content.
func (s *Stored) fault(err error) error { return fmt.Errorf("%s: %w", s.Path, err) }

// how shows how a secret is written.
func (s *Stored) how(ref secrets.Ref) string {
	switch s.Format {
	case Plain:
		return "the secret"
	case Dotenv:
		return fmt.Sprintf("a line %s=VALUE", ref)
	}
	return fmt.Sprintf("a value at %s", ref)
}

func (s *Stored) missing(ref secrets.Ref) error {
	if s.Format == Plain {
		return fmt.Errorf("%s holds one secret, which goes by the name %s, not %s: %w", s.Path, s.name(), ref, secrets.ErrNotFound)
	}
	return fmt.Errorf("%s has no %s: put %s into it: %w", s.Path, ref, s.how(ref), secrets.ErrNotFound)
}

// read reads the file; the error matches [fs.ErrNotExist] when there is none.
func (s *Stored) read(ctx context.Context) (*Document, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, err := safefile.Read(s.Path, s.Rule)
	if err != nil {
		return nil, err
	}
	return s.parse(data)
}

func (s *Stored) parse(data []byte) (*Document, error) {
	var err error
	if s.Open != nil && data != nil {
		if data, err = s.Open(data); err != nil {
			return nil, s.fault(err)
		}
	}
	doc, err := Parse(s.Format, s.name(), data)
	if err != nil {
		return nil, s.fault(err)
	}
	return doc, nil
}

// Resolve implements [secrets.Provider].
func (s *Stored) Resolve(ctx context.Context, ref secrets.Ref) (secrets.Secret, error) {
	doc, err := s.read(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return secrets.Secret{}, fmt.Errorf("there is no file %s: make it, with %s in it: %w", s.Path, s.how(ref), secrets.ErrNotFound)
	}
	if err != nil {
		return secrets.Secret{}, err
	}
	v, ok, err := doc.Get(ref)
	if err != nil {
		return secrets.Secret{}, s.fault(err)
	}
	if !ok {
		return secrets.Secret{}, s.missing(ref)
	}
	return secrets.NewSecret(v), nil
}

// List implements [secrets.Lister]. A file that is not there has none.
func (s *Stored) List(ctx context.Context) ([]secrets.Ref, error) {
	doc, err := s.read(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return doc.List(), nil
}

// Set implements [secrets.Store].
func (s *Stored) Set(ctx context.Context, ref secrets.Ref, v secrets.Secret) error {
	return s.change(ctx, func(doc *Document) error { return doc.Set(ref, v.Reveal()) })
}

// Remove implements [secrets.Store]. The file stays, also without secrets.
func (s *Stored) Remove(ctx context.Context, ref secrets.Ref) error {
	return s.change(ctx, func(doc *Document) error {
		removed, err := doc.Remove(ref)
		if err == nil && !removed {
			err = fmt.Errorf("it has no %s: %w", ref, secrets.ErrNotFound)
		}
		return err
	})
}

func (s *Stored) change(ctx context.Context, f func(*Document) error) error {
	return safefile.Update(ctx, s.Path, s.Rule, func(old []byte) ([]byte, error) {
		doc, err := s.parse(old)
		if err != nil {
			return nil, err
		}
		if err := f(doc); err != nil {
			return nil, s.fault(err)
		}
		data, err := doc.Bytes()
		if err == nil && s.Seal != nil {
			data, err = s.Seal(old, data)
		}
		if err != nil {
			return nil, s.fault(err)
		}
		return data, nil
	})
}
