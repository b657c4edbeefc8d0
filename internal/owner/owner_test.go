//go:build unix

package owner

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestMain is also a gateway that holds a lock until it is killed.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "hold" {
		o, err := Hold(os.Args[2])
		if err != nil {
			panic(err)
		}
		_, _ = os.Stdout.WriteString(o.ID + "\n" + o.Process + "\n")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// holder starts another gateway.
func holder(t *testing.T, state string) (child *exec.Cmd, id, process string) {
	t.Helper()
	child = exec.Command(os.Args[0], "hold", state)
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Process.Kill(); _ = child.Wait() })
	lines := bufio.NewScanner(out)
	for _, to := range []*string{&id, &process} {
		if !lines.Scan() {
			t.Fatal("the other gateway does not say who it is")
		}
		*to = lines.Text()
	}
	return child, id, process
}

func TestOwnersLiveAndDie(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "state")
	mine, err := Hold(state)
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Release()

	child, id, _ := holder(t, state)
	for name, o := range map[string]string{"this process": mine.ID, "the other": id} {
		if Dead(state, o, mine.Boot) {
			t.Errorf("%s lives and counts as dead", name)
		}
	}
	if err := Sweep(state); err != nil {
		t.Fatal(err)
	}
	if Dead(state, id, mine.Boot) {
		t.Error("a sweep took the lock of a living one")
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	if !Dead(state, id, mine.Boot) {
		t.Error("the killed one counts as living")
	}
	if err := Sweep(state); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(state, folder, id)); err == nil {
		t.Error("the lock of the killed one is still there")
	}
	if !Dead(state, id, mine.Boot) || Dead(state, mine.ID, mine.Boot) {
		t.Error("after the sweep: the one without a file is not dead, or this process is")
	}
	if mine.Boot != "" && !Dead(state, mine.ID, "of last year") {
		t.Error("an owner of another boot counts as living")
	}
	mine.Release()
	mine.Release()
	if !Dead(state, mine.ID, mine.Boot) {
		t.Error("a released one counts as living")
	}
	for _, id := range []string{"", ".", "../owners", strings.Repeat("g", 32), strings.Repeat("A", 32)} {
		if Dead(state, id, mine.Boot) {
			t.Errorf("%q, which is no id, counts as dead", id)
		}
	}
	if Dead(filepath.Join(state, "nowhere"), mine.ID, mine.Boot) {
		t.Error("a state folder that is not there tells that somebody is dead")
	}
}

func TestHoldDuringSweeps(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "state")
	done := make(chan struct{})
	var sweeping sync.WaitGroup
	sweeping.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				_ = Sweep(state)
			}
		}
	})
	var holding sync.WaitGroup
	for range 4 {
		holding.Go(func() {
			for range 100 {
				o, err := Hold(state)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := os.Stat(filepath.Join(o.State, folder, o.ID)); err != nil {
					t.Errorf("the lock that is held was swept: %v", err)
				}
				o.Release()
			}
		})
	}
	holding.Wait()
	close(done)
	sweeping.Wait()
}

func TestStateIsOneNameAndPrivate(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := os.Mkdir(real, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	o, err := Hold(link + "/../link/")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Release()
	if o.State != real {
		t.Errorf("the state folder is %s, want %s", o.State, real)
	}
	if err := os.Chmod(filepath.Join(real, folder), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Hold(real); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("a folder that others can open: %v", err)
	}
	if _, err := Hold(""); err == nil {
		t.Error("no state folder was accepted")
	}
}

// TestLockFilesThatAreCleanedAway: without its lock file an owner is gone when
// its process is.
func TestLockFilesThatAreCleanedAway(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells when a process started")
	}
	state := filepath.Join(t.TempDir(), "state")
	mine, err := Hold(state)
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Release()
	child, id, process := holder(t, state)
	if f := strings.Fields(process); len(f) != 3 || f[0] != strconv.Itoa(child.Process.Pid) || process == mine.Process {
		t.Errorf("the process is %q", process)
	}
	if Gone(state, id, mine.Boot, process) {
		t.Error("one that holds its lock counts as gone")
	}
	if err := os.Remove(filepath.Join(mine.State, folder, id)); err != nil {
		t.Fatal(err)
	}
	f := append(strings.Fields(process), "", "", "")
	for name, p := range map[string]string{
		"itself": process, "nothing": "", "a number alone": f[0], "no number": "x " + f[1] + " " + f[2], "all processes": "-1 " + f[1] + " " + f[2],
		"another namespace": f[0] + " 1 pid:[1],time:[1]",
	} {
		if Gone(state, id, mine.Boot, p) {
			t.Errorf("one that lives, without a lock file, counts as gone by %s", name)
		}
	}
	if !Gone(state, id, mine.Boot, f[0]+" 1 "+f[2]) {
		t.Error("a number that has gone to another process counts as living")
	}
	if mine.Boot != "" && !Gone(state, id, "of last year", process) {
		t.Error("an owner of another boot is not gone")
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	if !Gone(state, id, mine.Boot, process) {
		t.Error("the killed one is not gone")
	}
	if Gone(state, id, mine.Boot, "") || Gone(filepath.Join(state, "nowhere"), id, mine.Boot, process) || Gone(state, "../x", mine.Boot, process) {
		t.Error("what cannot be told counts as gone")
	}
}

// TestAbandon: what a living process has left can be told by the lock.
func TestAbandon(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "state")
	o, err := Hold(state)
	if err != nil {
		t.Fatal(err)
	}
	if Gone(state, o.ID, o.Boot, o.Process) {
		t.Error("it lives and is gone")
	}
	o.Abandon()
	o.Abandon()
	o.Release() // too late
	if !Gone(state, o.ID, o.Boot, o.Process) || !Dead(state, o.ID, o.Boot) {
		t.Error("one that was abandoned is not gone")
	}
	if err := Sweep(state); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(state, folder, o.ID)); err == nil {
		t.Error("the lock file outlives a sweep")
	}
}

func TestFoldersOfOthers(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "state")
	o, err := Hold(state)
	if err != nil {
		t.Fatal(err)
	}
	o.Release()
	if st, err := os.Stat(state); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the state folder was made as %v, %v", st.Mode(), err)
	}
	for mode, want := range map[os.FileMode]string{
		0o700: "", 0o755: "", 0o750: "", 0o777: "written to by others (mode 0777): run chmod go-w on it", 0o770: "mode 0770", 0o702: "mode 0702", 0o777 | os.ModeSticky: "written to",
	} {
		if err := os.Chmod(state, mode); err != nil {
			t.Fatal(err)
		}
		o, err := Hold(state)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), state)) {
			t.Errorf("a state folder of mode %v: %v", mode, err)
		}
		if err == nil {
			o.Release()
		}
	}
	if err := os.Chmod(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		for _, dir := range []string{state, filepath.Join(state, folder)} {
			if err := os.Chown(dir, 1000, 1000); err != nil {
				t.Fatal(err)
			}
			if _, err := Hold(state); err == nil || !strings.Contains(err.Error(), "belongs to another user (uid 1000)") || !strings.Contains(err.Error(), dir) {
				t.Errorf("%s of another user: %v", dir, err)
			}
			if err := os.Chown(dir, 0, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	link := state + "-link"
	if err := os.Symlink(state, link); err != nil {
		t.Fatal(err)
	}
	file := state + "-file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{link, file, state + "-none"} {
		if err := Private(p); err == nil {
			t.Errorf("%s was taken for a private folder", p)
		}
	}
}
