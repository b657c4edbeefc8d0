//go:build e2e && linux

package keyring_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	zalando "github.com/zalando/go-keyring"

	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/secrets/keyring"
)

// daemon is the GNOME Keyring of this test, on a session bus of its own.
var daemon *exec.Cmd

func TestMain(m *testing.M) {
	code, err := withKeyring(m)
	if err != nil {
		log.Fatalf("%v\nThe test bed installs what is missing: make testbed", err)
	}
	os.Exit(code)
}

func withKeyring(m *testing.M) (int, error) {
	home, err := os.MkdirTemp("", "keyring")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(home)
	for _, name := range []string{"HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"} {
		if err := os.Setenv(name, home); err != nil {
			return 0, err
		}
	}
	_ = os.Unsetenv("DISPLAY") // nobody is there to be asked
	bus := exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address", "--address=unix:dir="+home)
	bus.Stderr = os.Stderr
	out, err := bus.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := bus.Start(); err != nil {
		return 0, err
	}
	defer func() { _ = bus.Process.Kill(); _ = bus.Wait() }()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return 0, err
	}
	if err := os.Setenv("DBUS_SESSION_BUS_ADDRESS", strings.TrimSpace(address)); err != nil {
		return 0, err
	}
	daemon = exec.Command("gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets")
	daemon.Stdin, daemon.Stderr = strings.NewReader("password of the keyring"), io.Discard
	if err := daemon.Start(); err != nil {
		return 0, err
	}
	defer func() { _ = daemon.Process.Kill(); _ = daemon.Wait() }()
	if err := started(); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// started waits until the keyring is on the bus and its collection is made.
func started() error {
	conn, err := dbus.SessionBus()
	if err != nil {
		return err
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var path dbus.ObjectPath
		err = service(conn).Call("org.freedesktop.Secret.Service.ReadAlias", dbus.FlagNoAutoStart, "default").Store(&path)
		if err == nil && path != "/" {
			return nil
		}
	}
	return fmt.Errorf("gnome-keyring-daemon did not come up: %w", err)
}

func service(conn *dbus.Conn) dbus.BusObject {
	return conn.Object("org.freedesktop.secrets", "/org/freedesktop/secrets")
}

func open(t *testing.T, name string, timeout time.Duration) *keyring.Keyring {
	t.Helper()
	k, err := keyring.New(name, &keyring.Options{Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func want(t *testing.T, k *keyring.Keyring, ref secrets.Ref, value, fault string) {
	t.Helper()
	s, err := k.Resolve(t.Context(), ref)
	switch {
	case fault == "" && (err != nil || s.Reveal() != value):
		t.Errorf("%s is %q, %v", ref, s.Reveal(), err)
	case fault != "" && (err == nil || !strings.Contains(err.Error(), fault)):
		t.Errorf("%s: %v", ref, err)
	}
}

func TestKeyring(t *testing.T) {
	k, other := open(t, "gatehouse-test", 0), open(t, "gatehouse-other", 0)
	if _, err := k.Resolve(t.Context(), "TOKEN"); !errors.Is(err, secrets.ErrNotFound) {
		t.Error(err)
	}
	if err := errors.Join(k.Set(t.Context(), "TOKEN", secrets.NewSecret("first")), k.Set(t.Context(), "team/github#key", secrets.NewSecret("two\nlines")), other.Set(t.Context(), "TOKEN", secrets.NewSecret("another's"))); err != nil {
		t.Fatal(err)
	}
	want(t, k, "TOKEN", "first", "")
	want(t, k, "team/github#key", "two\nlines", "")
	want(t, other, "TOKEN", "another's", "")
	if refs, err := k.List(t.Context()); fmt.Sprint(refs) != "[TOKEN team/github#key]" || err != nil {
		t.Error(refs, err)
	}
	// It is rotated by another program.
	if err := zalando.Set("gatehouse-test", "TOKEN", "rotated"); err != nil {
		t.Fatal(err)
	}
	want(t, k, "TOKEN", "rotated", "")
	if err := k.Remove(t.Context(), "TOKEN"); err != nil {
		t.Error(err)
	}
	if err := k.Remove(t.Context(), "TOKEN"); !errors.Is(err, secrets.ErrNotFound) {
		t.Error(err)
	}
	want(t, k, "TOKEN", "", "the keyring has no TOKEN of the service gatehouse-test: set it")
	want(t, other, "TOKEN", "another's", "")

	// No value stands in the clear in what the keyring keeps.
	err := filepath.WalkDir(os.Getenv("HOME"), func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), "another's") {
			t.Errorf("%s shows it", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A keyring that hangs is not waited for longer than said, and used again
// when it is back.
func TestKeyringThatHangs(t *testing.T) {
	k := open(t, "gatehouse-hangs", 500*time.Millisecond)
	if err := k.Set(t.Context(), "TOKEN", secrets.NewSecret("value")); err != nil {
		t.Fatal(err)
	}
	if err := daemon.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		want(t, k, "TOKEN", "", "it did not answer within 500ms")
	}
	want(t, k, "TOKEN", "", "it has not answered 3 earlier calls")
	if err := daemon.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s, err := k.Resolve(t.Context(), "TOKEN")
		if err == nil && s.Reveal() == "value" {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// It comes last: nobody can unlock the keyring again.
func TestLockedKeyring(t *testing.T) {
	k := open(t, "gatehouse-locked", 3*time.Second)
	if err := k.Set(t.Context(), "TOKEN", secrets.NewSecret("value")); err != nil {
		t.Fatal(err)
	}
	conn, err := dbus.SessionBus()
	if err != nil {
		t.Fatal(err)
	}
	var collection, prompt dbus.ObjectPath
	if err := service(conn).Call("org.freedesktop.Secret.Service.ReadAlias", 0, "default").Store(&collection); err != nil {
		t.Fatal(err)
	}
	var locked []dbus.ObjectPath
	if err := service(conn).Call("org.freedesktop.Secret.Service.Lock", 0, []dbus.ObjectPath{collection}).Store(&locked, &prompt); err != nil || len(locked) != 1 {
		t.Fatal(locked, err)
	}
	_, err = k.Resolve(t.Context(), "TOKEN")
	if err == nil || errors.Is(err, secrets.ErrNotFound) || !strings.Contains(err.Error(), "the keyring is locked") || strings.Contains(err.Error(), "value") {
		t.Errorf("a locked keyring: %v", err)
	}
	if refs, err := k.List(t.Context()); fmt.Sprint(refs) != "[TOKEN]" || err != nil {
		t.Error(refs, err)
	}
}
