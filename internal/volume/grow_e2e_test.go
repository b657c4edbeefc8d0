//go:build e2e && linux

package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/filelock"
)

// growerArg makes the test binary make a volume and let it grow until it is
// killed.
const growerArg = "volume-grower"

// keptFile is what it writes once the volume is there.
const keptFile = "kept"

// growTo is the most that it asks for.
const growTo = 4096 * mib

func growAndGrow(state string) error {
	for size := int64(16 * mib); size <= growTo; size += 128*mib + 4096 {
		v, err := OpenSized(context.Background(), state, Path(state, "a", "", "v"), size, Give{UID: 5, GID: 6})
		if err != nil && strings.Contains(err.Error(), "cannot shrink") {
			continue // one that was killed has come that far
		}
		if err != nil {
			return err
		}
		if err := errors.Join(keep(v), v.Close()); err != nil {
			return err
		}
		fmt.Println(size) // it is there for good
	}
	return nil
}

// keep writes what is to be kept. A file that is there already stays whole when
// this process is killed here.
func keep(v *Sized) error {
	f, err := os.Create(in(v, keptFile+".new"))
	if err != nil {
		return err
	}
	_, err = f.WriteString("data")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), in(v, keptFile))
}

// clean fails unless the file system of a volume that nobody uses is whole.
func clean(t *testing.T, state, name string) {
	t.Helper()
	gone(t, state, name)
	program, err := find("e2fsck")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, "-fn", filepath.Join(sized(Path(state, "a", "", name)), imageFile)).CombinedOutput()
	if err != nil {
		t.Errorf("e2fsck: %v\n%s", err, out)
	}
}

// free is how many bytes are free in a volume.
func free(t *testing.T, v *Sized) int64 {
	t.Helper()
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(v.Root.Fd()), &s); err != nil {
		t.Fatal(err)
	}
	return int64(s.Bfree) * s.Bsize
}

func TestGrow(t *testing.T) {
	state := t.TempDir()
	v := openSized(t, state, "v", 16*mib)
	if err := os.WriteFile(in(v, keptFile), []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := Path(state, "a", "", "v")
	if _, err := OpenSized(t.Context(), state, path, 200*mib, Give{UID: 5, GID: 6}); err == nil || !strings.Contains(err.Error(), "it is in use, by "+v.Device) {
		t.Errorf("while it is used: %v", err)
	}
	_ = v.Close()
	v = openSized(t, state, "v", 200*mib)
	if names, err := os.ReadDir(in(v, "")); err != nil || len(names) != 1 {
		t.Errorf("it has %v, %v", names, err)
	}
	if b, err := os.ReadFile(in(v, keptFile)); err != nil || string(b) != "data" {
		t.Errorf("it reads %q, %v", b, err)
	}
	if n := fill(t, in(v, "full")); n < 180*mib || n > 200*mib {
		t.Errorf("%d bytes fitted into 200 MiB", n)
	}
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(v.Root.Fd()), &s); err != nil || s.Files < 16384 {
		t.Errorf("it has %d inodes, %v", s.Files, err)
	}
}

// TestGrowFar: a small one grows as far as there is room for that, and takes
// little of the disk. Nothing is done to one that is to grow farther.
func TestGrowFar(t *testing.T) {
	state := t.TempDir()
	_ = openSized(t, state, "v", 16*mib).Close()
	path, to := Path(state, "a", "", "v"), Give{UID: 5, GID: 6}
	const most = 1 << 40
	if _, err := OpenSized(t.Context(), state, path, most+1, to); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("can grow to %d at most", most)) {
		t.Errorf("got %v", err)
	}
	clean(t, state, "v")
	v := openSized(t, state, "v", most)
	if n := free(t, v); n < most*9/10 {
		t.Errorf("%d bytes are free", n)
	}
	var image unix.Stat_t
	if err := unix.Stat(filepath.Join(sized(path), imageFile), &image); err != nil || image.Blocks*512 > 64*mib {
		t.Errorf("the image takes %d MiB, %v", image.Blocks>>11, err)
	}
	_ = v.Close()
	clean(t, state, "v")
}

// TestFaulty: a file system that had to stop is checked before it is used
// again.
func TestFaulty(t *testing.T) {
	state := t.TempDir()
	v := openSized(t, state, "v", 32*mib)
	if err := os.WriteFile(in(v, keptFile), []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = v.Close()
	gone(t, state, "v")
	program, err := find("tune2fs")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(sized(Path(state, "a", "", "v")), imageFile)
	bad := func() bool {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		sb, err := read(f)
		if err != nil {
			t.Fatal(err)
		}
		return sb.faulty
	}
	if out, err := exec.Command(program, "-E", "force_fsck", name).CombinedOutput(); err != nil || !bad() {
		t.Fatalf("it is not faulty: %v, %s", err, out)
	}
	v = openSized(t, state, "v", 32*mib)
	if names, err := os.ReadDir(in(v, "")); err != nil || len(names) != 1 || bad() {
		t.Errorf("it has %v, %v; it is faulty: %t", names, err, bad())
	}
}

// TestOddSize: a size that has a rest is no reason to grow again and again.
func TestOddSize(t *testing.T) {
	state := t.TempDir()
	for _, size := range []int64{128*mib + 40<<10, 128*mib + 40<<10 + 1, 256*mib + 5000} {
		v := openSized(t, state, "v", size)
		if n := free(t, v); n < size*8/10 || n > size {
			t.Errorf("size %d: %d bytes are free", size, n)
		}
		_ = openSized(t, state, "v", size).Close()
		_ = v.Close()
	}
}

// TestKilledAtAnyMoment kills who makes a volume and lets it grow, again and
// again. What it has written is there, and nothing has to be mended.
func TestKilledAtAnyMoment(t *testing.T) {
	made, grown := 0, 0
	for n := range 24 {
		state := t.TempDir()
		image := filepath.Join(sized(Path(state, "a", "", "v")), imageFile)
		for delay := time.Duration(n%12) * 2 * time.Millisecond; delay < 300*time.Millisecond; delay = 2*delay + 10*time.Millisecond {
			told := killed(t, state, delay)
			st, err := os.Lstat(image)
			if errors.Is(err, fs.ErrNotExist) && told == "" {
				made++ // it was killed before
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(filepath.Join(filepath.Dir(image), growFile)); err == nil {
				grown++ // it was killed within
			}
			v := openSized(t, state, "v", max(st.Size(), 16*mib))
			if b, err := os.ReadFile(in(v, keptFile)); told != "" && (err != nil || string(b) != "data") {
				t.Errorf("it has kept %q, %v", b, err)
			}
			_ = v.Close()
			clean(t, state, "v")
		}
		if names, err := os.ReadDir(filepath.Dir(image)); err != nil || len(names) != 2 {
			t.Errorf("beside the image and the lock there are %v, %v", names, err)
		}
	}
	t.Logf("killed %d times before the volume was made, and %d times while it grew", made, grown)
	if made == 0 || grown == 0 {
		t.Error("it was not killed when it matters")
	}
}

// killed runs the grower for a while, and returns the last size that it has
// told to be there.
func killed(t *testing.T, state string, delay time.Duration) (told string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), delay)
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0], growerArg, state)
	out, err := c.Output()
	if err == nil {
		t.Errorf("it ended by itself: %s", out)
	}
	for _, told = range strings.Fields(string(out)) {
	}
	return told
}

// TestCutShort kills the program that lets a volume grow, as the end of a
// service does with all of its processes, and the loss of power.
func TestCutShort(t *testing.T) {
	const size = 64 << 30
	program, err := find("resize2fs")
	if err != nil {
		t.Fatal(err)
	}
	cut := 0
	for n := range 30 {
		state := t.TempDir()
		v := openSized(t, state, "v", 16*mib)
		if err := os.WriteFile(in(v, keptFile), make([]byte, mib), 0o600); err != nil {
			t.Fatal(err)
		}
		_ = v.Close()
		clean(t, state, "v")
		dir := sized(Path(state, "a", "", "v"))
		if err := os.WriteFile(filepath.Join(dir, growFile), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, imageFile), size); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*time.Millisecond)
		if exec.CommandContext(ctx, program, filepath.Join(dir, imageFile)).Run() != nil {
			cut++
		}
		cancel()
		v = openSized(t, state, "v", size)
		if b, err := os.ReadFile(in(v, keptFile)); err != nil || len(b) != mib {
			t.Errorf("it has kept %d bytes, %v", len(b), err)
		}
		if n := free(t, v); n < size*9/10 {
			t.Errorf("%d bytes are free", n)
		}
		_ = v.Close()
		clean(t, state, "v")
	}
	t.Logf("it was cut short %d times", cut)
	if cut == 0 {
		t.Error("it was never cut short")
	}
}

// TestTurn: who waits for another does so no longer than it may.
func TestTurn(t *testing.T) {
	state := t.TempDir()
	dir := sized(Path(state, "a", "", "v"))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	lock, err := filelock.Take(filepath.Join(dir, lockFile), true)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = OpenSized(ctx, state, Path(state, "a", "", "v"), 32*mib, Give{UID: 5, GID: 6})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), lock.Name()) {
		t.Errorf("got %v", err)
	}
	time.AfterFunc(50*time.Millisecond, func() { _ = lock.Close() })
	openSized(t, state, "v", 32*mib)
}

// TestWithAndWithout: one who opens a new volume with a size and one who opens
// it without never both write to it.
func TestWithAndWithout(t *testing.T) {
	for range 30 {
		state := t.TempDir()
		path, to := Path(state, "a", "", "v"), Give{UID: 5, GID: 6}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		both.Go(func() {
			for end := time.Now().Add(time.Second); time.Now().Before(end); {
				f, err := Open(state, path, to)
				if err != nil {
					return // it has a size by now
				}
				err = os.WriteFile(fmt.Sprintf("/proc/self/fd/%d/x", f.Fd()), nil, 0o600)
				_ = f.Close()
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
				}
				if err == nil {
					return
				}
			}
		})
		v, err := OpenSized(t.Context(), state, path, 16*mib, to)
		both.Wait()
		if err == nil {
			_ = v.Close()
			gone(t, state, "v")
		}
		_, without := os.Lstat(path + "/x")
		_, with := os.Lstat(filepath.Join(sized(path), imageFile))
		if (without == nil) == (with == nil) || (err == nil) != (with == nil) {
			t.Fatalf("without a size: %v; with one: %v; opening it with a size says %v", without, with, err)
		}
	}
}
