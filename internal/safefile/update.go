package safefile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Update changes a file in one step: readers see the old one or the new one,
// and it is on the disk when Update returns. change gets what the file holds,
// nil when there is none, and returns what it shall hold.
//
// A lock beside the file keeps other Updates away meanwhile, also those of
// other processes (on Windows no others are kept away); a change that an
// editor makes at the same time is an error. A link is followed; the folder
// must be there. A new file is for its user alone (0600); one that is there
// keeps its owner, and that its group may read it.
func Update(ctx context.Context, path string, rule Rule, change func(old []byte) ([]byte, error)) error {
	path, err := target(path)
	if err != nil {
		return err
	}
	unlock, err := lock(ctx, filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock"))
	if err != nil {
		return fmt.Errorf("locking %s: %w", path, err)
	}
	defer unlock()
	old, err := readOrNil(path, rule)
	if err != nil {
		return err
	}
	data, err := change(bytes.Clone(old))
	if err != nil {
		return err
	}
	if len(data) > MaxSize { // nobody would read it
		return tooLarge(path)
	}
	return replace(path, data, func() error {
		now, err := readOrNil(path, rule)
		if err == nil && ((now == nil) != (old == nil) || !bytes.Equal(now, old)) {
			err = fmt.Errorf("%s was changed by somebody else just now: try again", path)
		}
		return err
	})
}

// target follows links, also those to a file that is not there yet.
func target(path string) (string, error) {
	for range 40 {
		to, err := os.Readlink(path)
		if err != nil {
			break // no link, or nothing there
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

func readOrNil(path string, rule Rule) ([]byte, error) {
	b, err := Read(path, rule)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// replace puts data in the place of a file, unless unchanged has an error.
func replace(path string, data []byte, unchanged func() error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if st, err := os.Stat(path); err == nil {
		keepReaders(f, st)
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := unchanged(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync() // not every system can
		_ = dir.Close()
	}
	return nil
}
