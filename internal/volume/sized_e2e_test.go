//go:build e2e && linux

package volume

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

const mib = 1 << 20

// holderArg makes the test binary hold a volume until it is killed.
const holderArg = "volume-holder"

// withoutArg makes it open a new volume where there is no mkfs.ext4.
const withoutArg = "volume-without-mkfs"

func without(state string) error {
	p, err := find(mkfs)
	if err == nil {
		err = unix.Mount("/dev/null", p, "", unix.MS_BIND, "")
	}
	if err != nil {
		return err
	}
	_, err = OpenSized(context.Background(), state, Path(state, "a", "", "v"), 32*mib, Give{UID: 5, GID: 6})
	if able := Able(); !errors.Is(able, runtime.ErrCannotEnforce) || !errors.Is(err, runtime.ErrCannotEnforce) {
		return fmt.Errorf("Able says %v, and OpenSized %v", able, err)
	}
	return err
}

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == withoutArg {
		fmt.Println(without(os.Args[2]))
		return
	}
	if len(os.Args) == 3 && os.Args[1] == growerArg {
		fmt.Println(growAndGrow(os.Args[2]))
		return
	}
	if len(os.Args) == 3 && os.Args[1] == holderArg {
		v, err := OpenSized(context.Background(), os.Args[2], Path(os.Args[2], "a", "", "v"), 32*mib, Give{UID: 5, GID: 6})
		fmt.Println(err)
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = v
		return
	}
	os.Exit(m.Run())
}

func openSized(t *testing.T, state, name string, size int64) *Sized {
	t.Helper()
	v, err := OpenSized(t.Context(), state, Path(state, "a", "", name), size, Give{UID: 5, GID: 6})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

// in is a path in a volume.
func in(v *Sized, name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", v.Root.Fd(), name)
}

// devices are the loop devices of a volume's image.
func devices(t *testing.T, state, name string) (all []string) {
	t.Helper()
	image := filepath.Join(sized(Path(state, "a", "", name)), imageFile)
	var want unix.Stat_t
	if err := unix.Stat(image, &want); err != nil {
		t.Fatal(err)
	}
	found, _ := filepath.Glob("/sys/block/loop*/loop")
	for _, p := range found {
		device := "/dev/" + filepath.Base(filepath.Dir(p))
		f, err := os.Open(device)
		if err != nil {
			continue
		}
		info, err := unix.IoctlLoopGetStatus64(int(f.Fd()))
		_ = f.Close()
		if err == nil && info.Inode == want.Ino && info.Device == uint64(want.Dev) {
			all = append(all, device)
		}
	}
	return all
}

// gone waits until a volume has no loop device.
func gone(t *testing.T, state, name string) {
	t.Helper()
	end := time.Now().Add(5 * time.Second)
	for ; len(devices(t, state, name)) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q are left", devices(t, state, name))
		}
	}
}

// fill writes until no more fits, and tells how much did.
func fill(t *testing.T, path string) (n int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 64<<10)
	for n < 1<<30 {
		k, err := f.Write(b)
		n += int64(k)
		if err == nil {
			continue
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Errorf("writing to a full volume: %v", err)
		}
		break
	}
	return n
}

func TestSizeIsHeld(t *testing.T) {
	state := t.TempDir()
	v, other := openSized(t, state, "v", 32*mib), openSized(t, state, "w", 32*mib)
	if names, err := os.ReadDir(in(v, "")); err != nil || len(names) != 0 {
		t.Errorf("a new volume has %v, %v", names, err)
	}
	var s unix.Stat_t
	if err := unix.Fstat(int(v.Root.Fd()), &s); err != nil || s.Uid != 5 || s.Gid != 6 {
		t.Errorf("it belongs to %d:%d, %v", s.Uid, s.Gid, err)
	}
	if n := fill(t, in(v, "full")); n < 20*mib || n > 32*mib {
		t.Errorf("%d bytes fitted into 32 MiB", n)
	}
	if err := os.WriteFile(in(other, "x"), make([]byte, mib), 0o600); err != nil {
		t.Errorf("another volume: %v", err)
	}
	// What is removed is free again, inside and on the host.
	if err := os.Remove(in(v, "full")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in(v, "kept"), []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir, err := v.open()
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		t.Error(err)
	}
	_ = dir.Close()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var image unix.Stat_t
		if err := unix.Stat(filepath.Join(sized(Path(state, "a", "", "v")), imageFile), &image); err != nil {
			t.Fatal(err)
		}
		if image.Blocks*512 < 8*mib {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the image of an empty volume takes %d KiB", image.Blocks/2)
		}
	}
	_ = v.Close()
	_ = other.Close()
	gone(t, state, "v")
	gone(t, state, "w")
	v = openSized(t, state, "v", 32*mib)
	if b, err := os.ReadFile(in(v, "kept")); err != nil || string(b) != "data" {
		t.Errorf("the next one reads %q, %v", b, err)
	}
}

// TestOneDevice: however many open a volume, and in whatever processes, it is
// one file system.
func TestOneDevice(t *testing.T) {
	state := t.TempDir()
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			v, err := OpenSized(t.Context(), state, Path(state, "a", "", "v"), 32*mib, Give{UID: 5, GID: 6})
			if err != nil {
				t.Error(err)
				return
			}
			if err := os.WriteFile(in(v, fmt.Sprint(n)), nil, 0o600); err != nil {
				t.Error(err)
			}
			if n%2 == 0 {
				_ = v.Close()
				return
			}
			t.Cleanup(func() { _ = v.Close() })
		})
	}
	all.Wait()
	hold(t, state)
	if d := devices(t, state, "v"); len(d) != 1 {
		t.Errorf("it has the devices %q", d)
	}
	if names, err := os.ReadDir(in(openSized(t, state, "v", 32*mib), "")); err != nil || len(names) != 16 {
		t.Errorf("it has %d entries, %v", len(names), err)
	}
}

// hold has another process hold a volume.
func hold(t *testing.T, state string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0], holderArg, state)
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "<nil>\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	return c
}

// TestKilledHolder: what a killed process held is gone, and what another one
// holds is not.
func TestKilledHolder(t *testing.T) {
	state := t.TempDir()
	dead := hold(t, state)
	v := openSized(t, state, "v", 32*mib)
	if err := dead.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = dead.Wait()
	if err := os.WriteFile(in(v, "x"), nil, 0o600); err != nil || len(devices(t, state, "v")) != 1 {
		t.Errorf("it has %q, %v", devices(t, state, "v"), err)
	}
	_ = v.Close()
	gone(t, state, "v")

	dead = hold(t, state)
	if len(devices(t, state, "v")) != 1 {
		t.Fatal("it has no device, so that nothing is shown")
	}
	_ = dead.Process.Kill()
	_ = dead.Wait()
	gone(t, state, "v")
}

// TestHalfMade: what was not finished is begun again.
func TestHalfMade(t *testing.T) {
	state := t.TempDir()
	dir := sized(Path(state, "a", "", "v"))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, newFile), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	openSized(t, state, "v", 32*mib)
	if names, err := os.ReadDir(dir); err != nil || len(names) != 2 {
		t.Errorf("beside the image and the lock there are %v, %v", names, err)
	}
}

func TestWithoutProgram(t *testing.T) {
	state := t.TempDir()
	c := exec.Command(os.Args[0], withoutArg, state)
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := c.CombinedOutput()
	if want := "the size of a volume cannot be enforced by this runtime: there is no mkfs.ext4"; err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("got %s, %v", out, err)
	}
	if names, err := os.ReadDir(sized(Path(state, "a", "", "v"))); err != nil || len(names) != 1 {
		t.Errorf("beside the lock it leaves %v, %v", names, err)
	}
}

// TestInUserNamespace: root of a user namespace alone cannot hold a size.
func TestInUserNamespace(t *testing.T) {
	c := exec.Command(os.Args[0], holderArg, t.TempDir())
	zero := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: zero, GidMappings: zero}
	out, err := c.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "the size of a volume cannot be enforced") {
		t.Errorf("got %s, %v", out, err)
	}
}

// TestPowerCut: what a server has synced is there after the machine has lost its
// power, as in a copy of the image that is taken while it is mounted.
func TestPowerCut(t *testing.T) {
	state := t.TempDir()
	v := openSized(t, state, "v", 32*mib)
	for n := range 100 {
		f, err := os.Create(in(v, fmt.Sprint(n)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("data"); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	cut, err := os.ReadFile(filepath.Join(sized(Path(state, "a", "", "v")), imageFile))
	if err != nil {
		t.Fatal(err)
	}
	const needsRecovery = 4
	if cut[1024+0x60]&needsRecovery == 0 {
		t.Error("the copy needs no recovery, so that nothing is shown")
	}
	dir := sized(Path(state, "a", "", "w"))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, imageFile), cut, 0o600); err != nil {
		t.Fatal(err)
	}
	v = openSized(t, state, "w", 64*mib) // it even grows
	for n := range 100 {
		if b, err := os.ReadFile(in(v, fmt.Sprint(n))); err != nil || string(b) != "data" {
			t.Fatalf("file %d is %q, %v", n, b, err)
		}
	}
}

// TestBroken: the error of a broken file system says what to run.
func TestBroken(t *testing.T) {
	state := t.TempDir()
	_ = openSized(t, state, "v", 32*mib).Close()
	gone(t, state, "v")
	name := filepath.Join(sized(Path(state, "a", "", "v")), imageFile)
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 64<<10), 4096); err != nil { // the descriptors of its groups
		t.Fatal(err)
	}
	_ = f.Close()
	_, err = OpenSized(t.Context(), state, Path(state, "a", "", "v"), 32*mib, Give{UID: 5, GID: 6})
	if err == nil || !strings.Contains(err.Error(), "run: e2fsck -f "+name) {
		t.Errorf("got %v", err)
	}
	gone(t, state, "v")
}
