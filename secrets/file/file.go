package file

import (
	"context"
	"errors"

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
type File struct{ s document.Stored }

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
	s := document.Stored{Path: path, Format: document.Format(o.Format), Rule: safefile.UserOrGroup}
	if path == "" {
		return nil, errors.New("the path of the file is empty")
	}
	if err := s.Format.Check(); err != nil {
		return nil, err
	}
	if s.Format == "" {
		s.Format = document.FormatOf(path)
	}
	if o.WorldReadable {
		s.Rule = safefile.Anybody
	}
	return &File{s}, nil
}

// Resolve implements [secrets.Provider].
func (f *File) Resolve(ctx context.Context, ref secrets.Ref) (secrets.Secret, error) {
	return f.s.Resolve(ctx, ref)
}

// List implements [secrets.Lister]. A file that is not there has none.
func (f *File) List(ctx context.Context) ([]secrets.Ref, error) { return f.s.List(ctx) }

// Set implements [secrets.Store]. The folder that the file is in must be
// there.
func (f *File) Set(ctx context.Context, ref secrets.Ref, s secrets.Secret) error {
	return f.s.Set(ctx, ref, s)
}

// Remove implements [secrets.Store]. The file stays, also without secrets.
func (f *File) Remove(ctx context.Context, ref secrets.Ref) error { return f.s.Remove(ctx, ref) }
