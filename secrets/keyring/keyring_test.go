package keyring

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// A keyring that hangs is waited for within bounds, and used again when it is
// back.
func TestDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, err := New("x", nil)
		if err != nil {
			t.Fatal(err)
		}
		back := make(chan struct{})
		hangs := func() (string, error) { <-back; return "late", nil }
		quick := func() (string, error) { return "quick", nil }
		for range maxLost {
			began := time.Now()
			if _, err := call(t.Context(), k, hangs); err == nil || !strings.Contains(err.Error(), "did not answer within 10s: it may be locked") {
				t.Error(err)
			}
			if d := time.Since(began); d != defaultTimeout {
				t.Errorf("it waited %v", d)
			}
		}
		if _, err := call(t.Context(), k, quick); err == nil || !strings.Contains(err.Error(), "it has not answered 3 earlier calls") {
			t.Error(err)
		}
		close(back)
		synctest.Wait()
		if v, err := call(t.Context(), k, quick); v != "quick" || err != nil {
			t.Error(v, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := call(ctx, k, quick); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if _, err := call(t.Context(), k, func() (string, error) { panic("nil") }); err == nil || !strings.Contains(err.Error(), "broke off") {
			t.Error(err)
		}
	})
}

func TestFaults(t *testing.T) {
	t.Parallel()
	k, err := New("app", nil)
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[error]string{
		keyring.ErrNotFound:            "the keyring has no T of the service app: set it",
		keyring.ErrSetDataTooBig:       "T is too large",
		keyring.ErrUnsupportedPlatform: "no keyring that is known here",
		errors.New("The name org.freedesktop.secrets was not provided by any .service files"): "no keyring answers on the session bus: start one",
		errors.New("dbus: couldn't determine address of session bus"):                         "there is no session bus to reach a keyring by",
		errors.New("failed to unlock correct collection 'x'"):                                 "the keyring is locked",
		&net.OpError{Op: "dial", Net: "unix", Err: errors.New("refused")}:                     "there is no session bus to reach a keyring by",
		errors.New("something else"):                                                          "asking the keyring for T: something else",
	} {
		if err := k.fault("T", in); !strings.Contains(err.Error(), want) || errors.Is(err, secrets.ErrNotFound) != errors.Is(in, keyring.ErrNotFound) {
			t.Errorf("%v: %v", in, err)
		}
	}
	if _, err := New("", nil); err == nil {
		t.Error("a service without a name")
	}
	if _, err := New("x", &Options{Timeout: -1}); err == nil {
		t.Error("a negative timeout")
	}
	for _, ref := range []secrets.Ref{"", "a\nb"} {
		if _, err := k.Resolve(t.Context(), ref); err == nil {
			t.Errorf("%q was asked for", ref)
		}
		if k.Set(t.Context(), ref, secrets.NewSecret("")) == nil || k.Remove(t.Context(), ref) == nil {
			t.Errorf("%q was written", ref)
		}
	}
}
