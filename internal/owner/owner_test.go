//go:build unix

package owner

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
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
		_, _ = os.Stdout.WriteString(o.ID + "\n")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestOwnersLiveAndDie(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "state")
	mine, err := Hold(state)
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Release()

	child := exec.Command(os.Args[0], "hold", state)
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	id, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	id = strings.TrimSpace(id)

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
	state := t.TempDir()
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
