package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/internal/document"
	"github.com/gatehouse-mcp/gatehouse/internal/safefile"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// What a folder may hold.
const (
	maxDepth = 8
	maxFiles = 10_000
)

// Folder is a provider of the files in a folder. It is safe for concurrent
// use.
type Folder struct{ dir string }

var (
	_ secrets.Provider = (*Folder)(nil)
	_ secrets.Lister   = (*Folder)(nil)
	_ secrets.Store    = (*Folder)(nil)
)

// NewFolder makes a provider of a folder, which need not be there yet.
func NewFolder(dir string) (*Folder, error) {
	if dir == "" {
		return nil, errors.New("the path of the folder is empty")
	}
	return &Folder{dir}, nil
}

// Resolve implements [secrets.Provider].
func (d *Folder) Resolve(ctx context.Context, ref secrets.Ref) (secrets.Secret, error) {
	if err := ctx.Err(); err != nil {
		return secrets.Secret{}, err
	}
	name, field := ref.Cut()
	at, err := d.path(name)
	if err != nil {
		return secrets.Secret{}, err
	}
	data, err := d.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = d.read(name) // the folder's content may just have been replaced
	}
	if errors.Is(err, fs.ErrNotExist) {
		return secrets.Secret{}, fmt.Errorf("there is no file %s: put the secret into it: %w", at, secrets.ErrNotFound)
	}
	if err != nil {
		return secrets.Secret{}, err
	}
	if field == "" {
		return secrets.NewSecret(document.TrimNewline(string(data))), nil
	}
	format := document.FormatOf(name)
	if format == document.Plain && bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		format = document.JSON
	}
	if format == document.Plain {
		return secrets.Secret{}, fmt.Errorf("%s is no JSON, YAML or .env file, so that it has no field %s: leave out the # and what follows", at, field)
	}
	doc, err := document.Parse(format, "", data)
	if err != nil {
		return secrets.Secret{}, fmt.Errorf("%s: %w", at, err)
	}
	v, ok, err := doc.Get(secrets.Ref(field))
	if err != nil {
		return secrets.Secret{}, fmt.Errorf("%s: %w", at, err)
	}
	if !ok {
		return secrets.Secret{}, fmt.Errorf("%s has no field %s: %w", at, field, secrets.ErrNotFound)
	}
	return secrets.NewSecret(v), nil
}

// path checks the name of a file and returns where it is.
func (d *Folder) path(name string) (string, error) {
	local := filepath.FromSlash(name)
	if !filepath.IsLocal(local) || path.Clean(name) != name || name == "." {
		return "", fmt.Errorf("%q is no name of a file below %s", name, d.dir)
	}
	return filepath.Join(d.dir, local), nil
}

// read reads a file; links cannot lead out of the folder.
func (d *Folder) read(name string) ([]byte, error) {
	root, err := os.OpenRoot(d.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	name = filepath.FromSlash(name)
	at := filepath.Join(d.dir, name)
	st, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() { // before it is opened: a pipe would wait
		return nil, fmt.Errorf("%s is no plain file", at)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return safefile.ReadOpen(f, at, safefile.Anybody)
}

// List implements [secrets.Lister]: all files, also in folders below. A folder
// that is not there has none.
func (d *Folder) List(ctx context.Context) ([]secrets.Ref, error) {
	root, err := os.OpenRoot(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var all []secrets.Ref
	if err := d.list(ctx, root, ".", 0, &all); err != nil {
		return nil, err
	}
	slices.Sort(all)
	return all, nil
}

func (d *Folder) list(ctx context.Context, root *os.Root, at string, depth int, all *[]secrets.Ref) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := root.Open(at)
	if err != nil {
		return err
	}
	entries, err := f.ReadDir(maxFiles + 1)
	_ = f.Close()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for _, e := range entries {
		if ours(e.Name()) || strings.HasPrefix(e.Name(), "..") { // what Kubernetes makes its changes by
			continue
		}
		name := filepath.Join(at, e.Name())
		st, err := root.Stat(name)
		switch {
		case err != nil: // gone, or a link that leads elsewhere
		case st.IsDir() && (depth == maxDepth || depth > 0 && e.Type()&fs.ModeSymlink != 0): // a link may lead in a circle
		case st.IsDir():
			if err := d.list(ctx, root, name, depth+1, all); err != nil {
				return err
			}
		case st.Mode().IsRegular():
			*all = append(*all, secrets.Ref(filepath.ToSlash(name)))
		}
		if len(*all) > maxFiles {
			return fmt.Errorf("%s holds more than %d files: it is no folder of secrets", d.dir, maxFiles)
		}
	}
	return nil
}

// ours tells the files that stand in a folder while one is written.
func ours(name string) bool {
	return strings.HasPrefix(name, ".") && (strings.HasSuffix(name, ".tmp") || strings.HasSuffix(name, ".lock"))
}

// writable returns the path of a file that may be written: not a field of
// one, and nothing that a link leads to.
func (d *Folder) writable(ref secrets.Ref) (string, error) {
	name, field := ref.Cut()
	if field != "" {
		return "", fmt.Errorf("%s names a field, and files are written as a whole: leave out the # and what follows", ref)
	}
	at, err := d.path(name)
	if err != nil {
		return "", err
	}
	if ours(path.Base(name)) {
		return "", fmt.Errorf("%q is a name of files that are on their way: choose another", name)
	}
	for part := at; part != filepath.Clean(d.dir); part = filepath.Dir(part) {
		if st, err := os.Lstat(part); err == nil && st.Mode()&fs.ModeSymlink != 0 {
			return "", fmt.Errorf("%s is a link, and not written through: whoever made it changes what it leads to", part)
		}
	}
	return at, nil
}

// Set implements [secrets.Store]. The folder that the file is in must be
// there.
func (d *Folder) Set(ctx context.Context, ref secrets.Ref, s secrets.Secret) error {
	at, err := d.writable(ref)
	if err != nil {
		return err
	}
	return safefile.Update(ctx, at, safefile.Anybody, func([]byte) ([]byte, error) {
		return document.AddNewline(s.Reveal()), nil
	})
}

// Remove implements [secrets.Store].
func (d *Folder) Remove(ctx context.Context, ref secrets.Ref) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	at, err := d.writable(ref)
	if err != nil {
		return err
	}
	if err := os.Remove(at); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no file %s: %w", at, secrets.ErrNotFound)
	} else if err != nil {
		return err
	}
	return nil
}
