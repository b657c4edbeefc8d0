package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/gatehouse-mcp/gatehouse/internal/document"
	"github.com/gatehouse-mcp/gatehouse/internal/safefile"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// Options changes how [New] reads a file.
type Options struct {
	// Format is dotenv, json, yaml or plain. Empty: by the file's name;
	// .json, .yaml and .yml say it, .env, .env.NAME and NAME.env are dotenv,
	// every other is plain.
	Format string

	// WorldReadable accepts a file that everybody on this machine may read.
	WorldReadable bool
}

// File is a provider of the secrets in one file. It is safe for concurrent
// use.
type File struct {
	path   string
	format document.Format
	rule   safefile.Rule
}

var (
	_ secrets.Provider = (*File)(nil)
	_ secrets.Lister   = (*File)(nil)
	_ secrets.Store    = (*File)(nil)
)

// New makes a provider of a file, which need not be there yet.
func New(path string, o *Options) (*File, error) {
	if o == nil {
		o = new(Options)
	}
	f := &File{path: path, format: document.Format(o.Format), rule: safefile.UserOrGroup}
	if path == "" {
		return nil, errors.New("the path of the file is empty")
	}
	if err := f.format.Check(); err != nil {
		return nil, err
	}
	if f.format == "" {
		f.format = document.FormatOf(path)
	}
	if o.WorldReadable {
		f.rule = safefile.Anybody
	}
	return f, nil
}

// Resolve implements [secrets.Provider].
func (f *File) Resolve(ctx context.Context, ref secrets.Ref) (secrets.Secret, error) {
	if err := ctx.Err(); err != nil {
		return secrets.Secret{}, err
	}
	doc, err := f.read()
	if errors.Is(err, fs.ErrNotExist) {
		return secrets.Secret{}, fmt.Errorf("there is no file %s: make it, with %s in it: %w", f.path, f.how(ref), secrets.ErrNotFound)
	}
	if err != nil {
		return secrets.Secret{}, err
	}
	v, ok, err := doc.Get(ref)
	if err != nil {
		return secrets.Secret{}, fmt.Errorf("%s: %w", f.path, err)
	}
	if !ok {
		return secrets.Secret{}, f.missing(ref)
	}
	return secrets.NewSecret(v), nil
}

func (f *File) missing(ref secrets.Ref) error {
	if f.format == document.Plain {
		return fmt.Errorf("%s holds one secret, which goes by the name %s, not %s: %w", f.path, filepath.Base(f.path), ref, secrets.ErrNotFound)
	}
	return fmt.Errorf("%s has no %s: put %s into it: %w", f.path, ref, f.how(ref), secrets.ErrNotFound)
}

// how shows how a secret is written.
func (f *File) how(ref secrets.Ref) string {
	switch f.format {
	case document.Plain:
		return "the secret"
	case document.Dotenv:
		return fmt.Sprintf("a line %s=VALUE", ref)
	}
	return fmt.Sprintf("a value at %s", ref)
}

// read reads the file; the error matches [fs.ErrNotExist] when there is none.
func (f *File) read() (*document.Document, error) {
	data, err := safefile.Read(f.path, f.rule)
	if err != nil {
		return nil, err
	}
	return f.parse(data)
}

func (f *File) parse(data []byte) (*document.Document, error) {
	doc, err := document.Parse(f.format, filepath.Base(f.path), data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	return doc, nil
}

// List implements [secrets.Lister]. A file that is not there has none.
func (f *File) List(ctx context.Context) ([]secrets.Ref, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	doc, err := f.read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return doc.List(), nil
}

// Set implements [secrets.Store].
func (f *File) Set(ctx context.Context, ref secrets.Ref, s secrets.Secret) error {
	return safefile.Update(ctx, f.path, f.rule, func(old []byte) ([]byte, error) {
		doc, err := f.parse(old)
		if err != nil {
			return nil, err
		}
		if err := doc.Set(ref, s.Reveal()); err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
		return doc.Bytes()
	})
}

// Remove implements [secrets.Store]. The file stays, also without secrets.
func (f *File) Remove(ctx context.Context, ref secrets.Ref) error {
	return safefile.Update(ctx, f.path, f.rule, func(old []byte) ([]byte, error) {
		if old == nil {
			return nil, fmt.Errorf("there is no file %s: %w", f.path, secrets.ErrNotFound)
		}
		doc, err := f.parse(old)
		if err != nil {
			return nil, err
		}
		removed, err := doc.Remove(ref)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
		if !removed {
			return nil, fmt.Errorf("%s has no %s: %w", f.path, ref, secrets.ErrNotFound)
		}
		return doc.Bytes()
	})
}
