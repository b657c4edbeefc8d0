package keyring

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

const defaultTimeout = 10 * time.Second

// Options changes how [New] asks the keyring.
type Options struct {
	// Timeout bounds one call [10 seconds]. It includes the time that a user
	// takes to unlock the keyring.
	Timeout time.Duration
}

// maxLost bounds the calls that passed their deadline and have not come back.
const maxLost = 3

// Keyring is a provider of the entries of one service. It is safe for
// concurrent use; its calls go to the keyring one after the other.
type Keyring struct {
	service string
	timeout time.Duration
	turn    chan struct{} // holds a token while somebody calls
	lost    atomic.Int32
}

var (
	_ secrets.Provider = (*Keyring)(nil)
	_ secrets.Store    = (*Keyring)(nil)
)

// New makes a provider of the entries of a service, such as gatehouse. The
// keyring is not asked yet.
func New(service string, o *Options) (*Keyring, error) {
	k := &Keyring{service: service, timeout: defaultTimeout, turn: make(chan struct{}, 1)}
	if o != nil && o.Timeout != 0 {
		k.timeout = o.Timeout
	}
	switch {
	case service == "" || strings.Contains(service, "\x00"):
		return nil, errors.New("the service that the entries of the keyring belong to has no name")
	case k.timeout < 0:
		return nil, fmt.Errorf("the option Timeout is %v: leave it out for %v", k.timeout, defaultTimeout)
	}
	return k, nil
}

// call calls the keyring, which knows no deadline. One call that does not come
// back keeps its goroutine until it does.
func call[T any](ctx context.Context, k *Keyring, f func() (T, error)) (T, error) {
	var none T
	slow := fmt.Errorf("it did not answer within %v: it may be locked and wait for its password in a window; unlock it", k.timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, k.timeout, slow)
	defer cancel()
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
	if n := k.lost.Load(); n >= maxLost {
		return none, fmt.Errorf("it has not answered %d earlier calls: unlock or restart it", n)
	}
	type answer struct {
		v   T
		err error
	}
	answers := make(chan answer) // taken, or else the call is lost
	k.lost.Add(1)
	go func() { // ends when the keyring answers
		defer k.lost.Add(-1)
		var a answer
		a.v, a.err = contained(f)
		select {
		case answers <- a:
		case <-ctx.Done():
		}
	}()
	select {
	case a := <-answers:
		return a.v, a.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

// contained makes an error of a panic: go-keyring panics when the session bus
// goes away while it waits for a prompt.
func contained[T any](f func() (T, error)) (v T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the connection to it broke off (%v)", r)
		}
	}()
	return f()
}

// fault explains an error of the keyring.
func (k *Keyring) fault(ref secrets.Ref, err error) error {
	var dial *net.OpError
	switch text := err.Error(); {
	case errors.Is(err, keyring.ErrNotFound):
		return fmt.Errorf("the keyring has no %s of the service %s: set it, such as by secret-tool store service %[2]s username %[1]s on Linux: %[3]w", ref, k.service, secrets.ErrNotFound)
	case errors.Is(err, keyring.ErrSetDataTooBig):
		return fmt.Errorf("%s is too large for the keyring of this system", ref)
	case errors.Is(err, keyring.ErrUnsupportedPlatform):
		return errors.New("this system has no keyring that is known here: use another provider")
	case strings.Contains(text, "failed to unlock"):
		return fmt.Errorf("the keyring is locked, and asking for its password did not unlock it: log in to the desktop, or start gnome-keyring-daemon --unlock (%w)", err)
	case strings.Contains(text, "ServiceUnknown"), strings.Contains(text, "not provided by any .service"):
		return fmt.Errorf("no keyring answers on the session bus: start one, such as gnome-keyring-daemon (%w)", err)
	case strings.Contains(text, "session bus"), strings.Contains(text, "dbus-launch"), strings.Contains(text, "bus address"), errors.As(err, &dial):
		return fmt.Errorf("there is no session bus to reach a keyring by: log in, or start the program with dbus-run-session (%w)", err)
	}
	return fmt.Errorf("asking the keyring for %s: %w", ref, err)
}

// Resolve implements [secrets.Provider].
func (k *Keyring) Resolve(ctx context.Context, ref secrets.Ref) (secrets.Secret, error) {
	if err := check(ref); err != nil {
		return secrets.Secret{}, err
	}
	v, err := call(ctx, k, func() (string, error) { return keyring.Get(k.service, string(ref)) })
	if err != nil {
		return secrets.Secret{}, k.fault(ref, err)
	}
	return secrets.NewSecret(v), nil
}

// Set implements [secrets.Store].
func (k *Keyring) Set(ctx context.Context, ref secrets.Ref, s secrets.Secret) error {
	if err := check(ref); err != nil {
		return err
	}
	return k.do(ctx, ref, func() error { return keyring.Set(k.service, string(ref), s.Reveal()) })
}

// Remove implements [secrets.Store].
func (k *Keyring) Remove(ctx context.Context, ref secrets.Ref) error {
	if err := check(ref); err != nil {
		return err
	}
	return k.do(ctx, ref, func() error { return keyring.Delete(k.service, string(ref)) })
}

func (k *Keyring) do(ctx context.Context, ref secrets.Ref, f func() error) error {
	_, err := call(ctx, k, func() (struct{}, error) { return struct{}{}, f() })
	if err != nil {
		return k.fault(ref, err)
	}
	return nil
}

func check(ref secrets.Ref) error {
	if ref == "" || strings.ContainsFunc(string(ref), func(r rune) bool { return r < ' ' }) {
		return fmt.Errorf("%q is no name of an entry of the keyring", string(ref))
	}
	return nil
}
