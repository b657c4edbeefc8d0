package sandbox

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// item is an entry of a layer: a file, or with another kind what to says.
type item struct {
	name string
	kind byte
	to   string // content, or where a link leads
}

func layerOf(t *testing.T, items []item) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, i := range items {
		h := &tar.Header{Name: i.name, Typeflag: i.kind, Mode: 0o4755}
		if i.kind == 0 {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(i.to))
		} else {
			h.Linkname = i.to
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if i.kind == 0 {
			if _, err := w.Write([]byte(i.to)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// content of a tree: files with their content, links with where they lead.
func contents(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil || rel == "." {
			return err
		}
		switch {
		case d.IsDir():
			all[rel] = "/"
		case d.Type()&fs.ModeSymlink != 0:
			to, err := os.Readlink(p)
			all[rel] = "-> " + to
			return err
		default:
			b, err := os.ReadFile(p)
			all[rel] = string(b)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	const dir, link, hard = tar.TypeDir, tar.TypeSymlink, tar.TypeLink
	for _, test := range []struct {
		name   string
		layers [][]item
		want   map[string]string
		err    string
	}{
		{"plain", [][]item{{{"a", dir, ""}, {"a/b", 0, "x"}, {"c/d", 0, "y"}, {"l", link, "a/b"}, {"h", hard, "a/b"}}},
			map[string]string{"a": "/", "a/b": "x", "c": "/", "c/d": "y", "l": "-> a/b", "h": "x"}, ""},
		{"on top", [][]item{{{"f", 0, "old"}, {"d/x", 0, "1"}, {"e/x", 0, "1"}}, {{"f", 0, "new"}, {"d", 0, "file now"}, {"e", dir, ""}}},
			map[string]string{"f": "new", "d": "file now", "e": "/", "e/x": "1"}, ""},
		{"whiteouts", [][]item{{{"d/x", 0, "1"}, {"d/y", 0, "2"}, {"e/x", 0, "3"}, {"e/z/w", 0, "4"}}, {{"d/.wh.x", 0, ""}, {"e/new", 0, "5"}, {"e/.wh..wh..opq", 0, ""}}},
			map[string]string{"d": "/", "d/y": "2", "e": "/", "e/new": "5"}, ""},
		{"dots", [][]item{{{"../../x", 0, "1"}, {"/abs", 0, "2"}, {"a/../../y", 0, "3"}}},
			map[string]string{"x": "1", "abs": "2", "y": "3"}, ""},
		{"through a link out", [][]item{{{"out", link, "../../../../OUTSIDE"}, {"OUTSIDE", dir, ""}, {"out/x", 0, "1"}}},
			map[string]string{"out": "-> ../../../../OUTSIDE", "OUTSIDE": "/", "OUTSIDE/x": "1"}, ""},
		{"through an absolute link", [][]item{{{"lib", link, "/usr/lib"}, {"usr/lib", dir, ""}, {"lib/x", 0, "1"}}},
			map[string]string{"lib": "-> /usr/lib", "usr": "/", "usr/lib": "/", "usr/lib/x": "1"}, ""},
		{"through a link to nowhere", [][]item{{{"out", link, "/no/where"}, {"out/x", 0, "1"}}}, nil, "out/x"},
		{"over a link", [][]item{{{"f", link, "/OUTSIDE"}, {"f", 0, "1"}}}, map[string]string{"f": "1"}, ""},
		{"folder over a link", [][]item{{{"f", link, "/tmp"}, {"f", dir, ""}}}, map[string]string{"f": "/"}, ""},
		{"hard link out", [][]item{{{"h", hard, "../../../../../../etc/hostname"}}}, nil, "h:"},
		{"hard link through a link", [][]item{{{"out", link, "/"}, {"x", 0, "1"}, {"h", hard, "out/x"}}},
			map[string]string{"out": "-> /", "x": "1", "h": "1"}, ""},
		{"whiteout out", [][]item{{{"d/.wh..", 0, ""}}}, nil, "removes"},
		{"whiteout of all", [][]item{{{"d/.wh...", 0, ""}}}, nil, "removes"},
		{"whiteout through a link", [][]item{{{"out", link, "/../../.."}, {"keep", 0, "1"}, {"out/.wh.keep", 0, ""}}},
			map[string]string{"out": "-> /../../.."}, ""},
		{"devices", [][]item{{{"null", tar.TypeChar, ""}, {"sda", tar.TypeBlock, ""}, {"pipe", tar.TypeFifo, ""}}}, map[string]string{}, ""},
	} {
		base := t.TempDir()
		root := filepath.Join(base, "a", "root")
		if err := os.MkdirAll(root, 0o755); err != nil {
			t.Fatal(err)
		}
		before := contents(t, base)
		fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		u := unpacker{fd: fd}
		for _, l := range test.layers {
			if err == nil {
				err = u.layer(layerOf(t, l))
			}
		}
		_ = unix.Close(fd)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: %v, want %q", test.name, err, test.err)
			}
		} else if got := contents(t, root); err != nil || !maps.Equal(got, test.want) {
			t.Errorf("%s: %v, %v; want %v", test.name, got, err, test.want)
		}
		// Outside nothing has changed.
		for p := range contents(t, base) {
			if _, ok := before[p]; !ok && !strings.HasPrefix(p, "a/root/") {
				t.Errorf("%s: outside there is %s now", test.name, p)
			}
		}
	}
}

func TestUnpackedFilesGiveNoRights(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	u := unpacker{fd: fd}
	if err := u.layer(layerOf(t, []item{{"f", 0, "x"}})); err != nil {
		t.Fatal(err)
	}
	s, err := os.Stat(filepath.Join(root, "f"))
	if err != nil || s.Mode() != 0o755 {
		t.Errorf("its mode is %v, %v", s.Mode(), err)
	}
}

func TestMadeFilesOfAnImage(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := placeholders(fd); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, root); len(got) != 0 {
		t.Errorf("without /etc: %v", got)
	}
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/run/resolv.conf", filepath.Join(root, "etc/resolv.conf")); err != nil {
		t.Fatal(err)
	}
	if err := placeholders(fd); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(contents(t, root))); !slices.Equal(got, []string{"etc", "etc/hostname", "etc/hosts", "etc/resolv.conf"}) {
		t.Errorf("with /etc: %v", got)
	}
}
