package vuln

import (
	"archive/zip"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of a snapshot.
const (
	// MaxRecord is the size of one of its records, in bytes.
	MaxRecord = 16 << 20

	// MaxRecords is how many records one of its files or folders may hold.
	MaxRecords = 4_000_000
)

// all is the name of the files in which OSV exports an ecosystem.
const all = "all.zip"

// Database is a snapshot of the OSV database on the disk. It is safe for concurrent
// use. What it has of an ecosystem is indexed when that is first asked for, and
// kept in memory: about 100 bytes for each record. The records themselves are read
// when they are needed.
type Database struct {
	path  string
	parts map[string][]*part // by ecosystem; "" is about any
}

// part is a zip file or a folder of records.
type part struct {
	path string

	once   sync.Once
	err    error
	zip    *zip.ReadCloser  // of a file
	names  []string         // of the records
	known  []string         // ecosystems that records are about
	index  map[string][]int // by family and folded name
	newest time.Time
}

// Open opens a snapshot: a folder that has, for each ecosystem, the file
// ECOSYSTEM/all.zip as OSV exports it (also below osv-scalibr/, where OSV's own
// tools keep it), or single records as ECOSYSTEM/*.json; or an all.zip of everything.
// It is an error if there is nothing of that.
//
// A snapshot that is replaced while it is open is seen by the next Open.
func Open(path string) (*Database, error) {
	db := &Database{path: path, parts: make(map[string][]*part)}
	for _, root := range []string{path, filepath.Join(path, "osv-scalibr")} {
		entries, err := os.ReadDir(root)
		if root != path && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("opening the vulnerability database: %w", err)
		}
		loose := false
		for _, e := range entries {
			name := filepath.Join(root, e.Name())
			switch {
			case e.IsDir() && e.Name() != "osv-scalibr":
				db.folder(e.Name(), name)
			case e.Name() == all:
				db.add("", name)
			case strings.HasSuffix(e.Name(), ".zip"):
				db.add(strings.TrimSuffix(e.Name(), ".zip"), name)
			case strings.HasSuffix(e.Name(), ".json"):
				loose = true
			}
		}
		if loose {
			db.add("", root)
		}
	}
	if len(db.parts) == 0 {
		return nil, fmt.Errorf("opening the vulnerability database: in %s there is neither ECOSYSTEM/all.zip nor all.zip nor a .json file; copy what https://osv-vulnerabilities.storage.googleapis.com has of the ecosystems that you need", path)
	}
	return db, nil
}

func (d *Database) folder(ecosystem, path string) {
	if _, err := os.Stat(filepath.Join(path, all)); err == nil {
		d.add(ecosystem, filepath.Join(path, all))
		return
	}
	if found, err := filepath.Glob(filepath.Join(path, "*.json")); err == nil && len(found) > 0 {
		d.add(ecosystem, path)
	}
}

func (d *Database) add(ecosystem, path string) {
	ecosystem = family(ecosystem)
	d.parts[ecosystem] = append(d.parts[ecosystem], &part{path: path})
}

// Ecosystems are the ecosystems that it has files of; "" stands for one of
// everything.
func (d *Database) Ecosystems() []string {
	return slices.Sorted(maps.Keys(d.parts))
}

// Close closes its files.
func (d *Database) Close() error {
	var errs []error
	for _, parts := range d.parts {
		for _, p := range parts {
			p.once.Do(func() { p.err = os.ErrClosed })
			if p.zip != nil {
				errs = append(errs, p.zip.Close())
			}
		}
	}
	return errors.Join(errs...)
}

// hit is what a record says of a package.
type hit struct {
	record   *record
	affected *affected
}

// lookup finds what affects a package, and when the newest record of what was
// searched was written. An [unknown] error says that nothing can be told.
func (d *Database) lookup(ctx context.Context, p Package) (hits []hit, newest time.Time, err error) {
	parts := slices.Concat(d.parts[family(p.Ecosystem)], d.parts[""])
	if len(parts) == 0 {
		return nil, newest, unknown(fmt.Sprintf("the database has nothing of %s", family(p.Ecosystem)))
	}
	found := false
	seen := make(map[string]bool)
	for _, part := range parts {
		if err := part.load(ctx); err != nil {
			return nil, newest, err
		}
		found = found || part.has(p.Ecosystem)
		if part.newest.After(newest) {
			newest = part.newest
		}
		for _, n := range part.find(p) {
			r, err := part.read(n)
			if err != nil {
				return nil, newest, err
			}
			if r.Withdrawn != nil || seen[r.ID] {
				continue
			}
			for i := range r.Affected {
				a := &r.Affected[i]
				if !a.of(p) {
					continue
				}
				in, err := a.has(p)
				if err != nil {
					return nil, newest, unknown(fmt.Sprintf("whether %s is about it cannot be told: %v", r.ID, err))
				}
				if in {
					seen[r.ID] = true
					hits = append(hits, hit{r, a})
					break
				}
			}
		}
	}
	if !found {
		return nil, newest, unknown(fmt.Sprintf("the database has nothing of %s", p.Ecosystem))
	}
	return hits, newest, nil
}

func key(ecosystem, name string) string { return family(ecosystem) + "\x00" + name }

// has tells whether it knows an ecosystem at all.
func (p *part) has(ecosystem string) bool {
	return slices.ContainsFunc(p.known, func(theirs string) bool { return within(ecosystem, theirs) })
}

// find are the numbers of the records that may be about a package.
func (p *part) find(pkg Package) (all []int) {
	for _, name := range pkg.names() {
		all = append(all, p.index[key(pkg.Ecosystem, name)]...)
	}
	return set(all)
}

// set sorts a list, and leaves out what is in it twice.
func set[T cmp.Ordered](all []T) []T {
	slices.Sort(all)
	return slices.Compact(all)
}

// load indexes it, once. One that failed stays failed.
func (p *part) load(ctx context.Context) error {
	p.once.Do(func() {
		if p.err = p.open(); p.err == nil {
			p.err = p.scan(context.WithoutCancel(ctx)) // others may wait for it
		}
		if p.err != nil {
			p.err = fmt.Errorf("reading the vulnerability database %s: %w", p.path, p.err)
		}
	})
	return p.err
}

func (p *part) open() error {
	if strings.HasSuffix(p.path, ".zip") {
		z, err := zip.OpenReader(p.path)
		if err != nil {
			return err
		}
		p.zip = z
		for _, f := range z.File {
			p.names = append(p.names, f.Name)
		}
	} else {
		found, err := filepath.Glob(filepath.Join(p.path, "*.json"))
		if err != nil {
			return err
		}
		p.names = found
	}
	if len(p.names) > MaxRecords {
		return fmt.Errorf("it has %d records, and %d are the most", len(p.names), MaxRecords)
	}
	return nil
}

// scan reads all records for what they are about, on all cores.
func (p *part) scan(ctx context.Context) error {
	type about struct {
		ecosystems, keys []string
		modified         time.Time
	}
	found := make([]about, len(p.names))
	workers := min(runtime.GOMAXPROCS(0), max(len(p.names), 1))
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := w; n < len(p.names) && ctx.Err() == nil; n += workers {
				if !strings.HasSuffix(p.names[n], ".json") {
					continue
				}
				r, err := p.read(n)
				if err != nil {
					errs[w] = err
					return
				}
				a := about{modified: r.Modified}
				for i := range r.Affected {
					pkg := r.Affected[i].Package
					a.ecosystems = append(a.ecosystems, pkg.Ecosystem)
					a.keys = append(a.keys, key(pkg.Ecosystem, fold(pkg.Ecosystem, pkg.Name)))
				}
				a.ecosystems, a.keys = set(a.ecosystems), set(a.keys)
				found[n] = a
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	p.index = make(map[string][]int)
	known := make(map[string]bool)
	for n, a := range found {
		if a.modified.After(p.newest) {
			p.newest = a.modified
		}
		for _, eco := range a.ecosystems {
			known[eco] = true
		}
		for _, k := range a.keys {
			p.index[k] = append(p.index[k], n)
		}
	}
	p.known = slices.Sorted(maps.Keys(known))
	return ctx.Err()
}

// read reads a record.
func (p *part) read(n int) (*record, error) {
	var in io.ReadCloser
	var err error
	if p.zip != nil {
		in, err = p.zip.File[n].Open()
	} else {
		in, err = os.Open(p.names[n])
	}
	if err != nil {
		return nil, err
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, MaxRecord+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.names[n], err)
	}
	if len(text) > MaxRecord {
		return nil, fmt.Errorf("%s is bigger than %d bytes", p.names[n], MaxRecord)
	}
	r := new(record)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s is no record of OSV: %w", p.names[n], err)
	}
	return r, nil
}
