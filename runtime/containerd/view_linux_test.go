package containerd

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// files makes a folder that stands for an image, and opens it. A content of
// "->x" is a symbolic link to x, "fifo" a FIFO, "dir" a folder.
func files(t *testing.T, content map[string]string) (root int) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		p := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(p), 0o755)
		if err != nil {
			t.Fatal(err)
		}
		if to, ok := strings.CutPrefix(text, "->"); ok {
			err = os.Symlink(to, p)
		} else if text == "fifo" {
			err = unix.Mkfifo(p, 0o644)
		} else if text == "dir" {
			err = os.MkdirAll(p, 0o755)
		} else {
			err = os.WriteFile(p, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(root) })
	return root
}

const (
	passwd = "root:x:0:0::/root:/bin/sh\nbroken\nserver:x:1234:1235::/:\nzero:x:44:0::/:\ntoor:x:0:7::/:\nbig:x:4294967296:1::/:\n7:x:70:71::/:\n"
	groups = "root:x:0:server\nstaff:x:50:root,server\nvideo:x:44:server,zero\nserver:x:1235:server\nother:x:60:\nhuge:x:99999999999:server\nshort:x:61"
)

func TestImageUser(t *testing.T) {
	t.Parallel()
	full := files(t, map[string]string{"etc/passwd": passwd, "etc/group": groups})
	empty := files(t, nil)
	standard, err := standardUser()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		root int
		text string
		want user
	}{
		{full, "server", user{1234, 1235, []uint32{50, 44}, true}},
		{full, "1234", user{1234, 1235, []uint32{50, 44}, true}},
		{full, "server:staff", user{1234, 50, nil, true}},
		{full, "server:60", user{1234, 60, nil, true}},
		{full, "5555", user{5555, 5555, nil, true}},
		{full, "7", user{7, 7, nil, true}}, // a number is no name
		{empty, "77:88", user{77, 88, nil, true}},
		{empty, "5555", user{5555, 5555, nil, true}},
		// Nobody is root or in its group.
		{full, "zero", user{44, 44, nil, true}},
		{full, "1000:0", user{1000, 1000, nil, true}},
		{empty, "1000:0", user{1000, 1000, nil, true}},
		{full, "1000:root", user{1000, 1000, nil, true}},
		{full, "server:0", user{1234, 1234, nil, true}},
		{full, "server:root", user{1234, 1234, nil, true}},
		{full, "root", standard}, {full, "toor", standard}, {full, "0", standard}, {empty, "0:0", standard}, {full, "0:60", standard},
	} {
		got, err := imageUser(test.root, test.text)
		if err != nil || got.uid != test.want.uid || got.gid != test.want.gid || got.own != test.want.own || !slices.Equal(got.more, test.want.more) {
			t.Errorf("%q: got %+v, %v; want %+v", test.text, got, err, test.want)
		}
	}
	for text, want := range map[string]string{
		"nobody": "no user", "big": "no numbers below 2^31", "server:none": "no group", "server:huge": "no group", "4294967296": "no user", "server:": "no group", "-1": "no user",
	} {
		if got, err := imageUser(full, text); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "uid:gid") {
			t.Errorf("%q: got %+v, %v; want an error with %q", text, got, err, want)
		}
	}
}

// TestFilesThatAreNotRead: what is no small regular file of the image blocks
// nobody and tells nothing of the host.
func TestFilesThatAreNotRead(t *testing.T) {
	t.Parallel()
	for want, content := range map[string]map[string]string{
		"/etc/passwd of the image is no regular file": {"etc/passwd": "fifo"},
		"/etc/group of the image is no regular file":  {"etc/passwd": passwd, "etc/group": "->pipe", "etc/pipe": "fifo"},
		"etc/passwd of the image is no regular file":  {"etc/passwd/x": ""},
		"no more than":     {"etc/passwd": strings.Repeat("x", maxUsers+1)},
		`no user "server"`: {"etc/passwd": "->/../../../../etc/shadow"},
		"too many levels":  {"etc/passwd": "->passwd"},
	} {
		root := files(t, content)
		done := make(chan error, 1)
		go func() { _, err := imageUser(root, "server"); done <- err }()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want one with %q", err, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%q: it blocks", want)
		}
	}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	root := files(t, map[string]string{
		"app": "dir", "data/app": "dir", "link": "->/data", "deep/up": "->../data/./app", "mnt": "->srv", "srv": "dir", "loop": "->loop", "file": "x",
	})
	targets := []runtime.Mount{{Target: "/data"}, {Target: "/data/sub"}, {Target: "/mnt/x"}}
	for dir, want := range map[string]directory{
		"/app": {mount: -1}, "/new/one": {mount: -1}, "/file/x": {mount: -1}, "/database": {mount: -1},
		"/data": {mount: 0}, "/data/app": {mount: 0, rest: "app"}, "/link/new": {mount: 0, rest: "new"}, "/deep/up/x": {mount: 0, rest: "app/x"},
		"/data/sub/y": {mount: 1, rest: "y"}, "/srv/x/y": {mount: 2, rest: "y"}, "/mnt/x": {mount: 2},
	} {
		want.path = dir
		if got, err := locate(root, dir, targets); err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", dir, got, err, want)
		}
	}
	if got, err := locate(root, "/loop/x", targets); err == nil {
		t.Errorf("a loop of links: %+v", got)
	}

	host := t.TempDir()
	if err := os.MkdirAll(filepath.Join(host, "a/b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a", filepath.Join(host, "l")); err != nil {
		t.Fatal(err)
	}
	m := &mounts{}
	m.list = append(m.list, bind(host, "/data", true, Class{}))
	for rest, ok := range map[string]bool{"": true, "a": true, "a/b": true, "c": false, "a/b/c": false, "l": false, "l/b": false} {
		err := m.holds(directory{path: "/data/" + rest, rest: rest})
		if (err == nil) != ok || !ok && !strings.Contains(err.Error(), "working directory /data/"+rest+" is not in what is mounted at /data") {
			t.Errorf("%q: %v", rest, err)
		}
	}
	if err := m.holds(directory{path: "/x", mount: -1, rest: "x"}); err != nil {
		t.Error(err)
	}
}
