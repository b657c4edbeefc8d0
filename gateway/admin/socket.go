package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Socket is the admin socket of one living gateway.
type Socket struct {
	ID   string
	Path string
}

// maxPath is the longest path of a unix socket that every system takes, in
// bytes.
const maxPath = 103

var validID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// name is how the file of a gateway is called. No other program's lock or
// socket has such a name: what looks dead is removed.
func name(id, ext string) string { return "gateway-" + id + ext }

// idOf is the reverse of name.
func idOf(file, ext string) (id string, ok bool) {
	id, isOurs := strings.CutPrefix(file, "gateway-")
	id, isKind := strings.CutSuffix(id, ext)
	return id, isOurs && isKind && validID.MatchString(id)
}

// Listen makes the socket gateway-ID.sock in a folder, which is made when it
// is missing, and holds the lock of gateway-ID.lock until the listener is
// closed. The folder and the socket can be opened by their owner alone; a
// folder that others can open is refused. What dead gateways left in the
// folder is removed.
func Listen(folder, id string) (net.Listener, error) {
	if !validID.MatchString(id) {
		return nil, fmt.Errorf("%q cannot be the name of a socket", id)
	}
	if err := private(folder); err != nil {
		return nil, err
	}
	path, done, err := reach(filepath.Join(folder, name(id, ".sock")))
	if err != nil {
		return nil, err
	}
	// Else somebody who removes what is dead could take a lock that was made
	// and is not held yet.
	unguard, err := guard(folder)
	if err != nil {
		done()
		return nil, fmt.Errorf("locking the state folder: %w", err)
	}
	defer unguard()
	lock, err := acquire(filepath.Join(folder, name(id, ".lock")))
	if err != nil {
		done()
		return nil, fmt.Errorf("another gateway has the id %s: %w", id, err)
	}
	reap(folder)
	l, err := net.Listen("unix", path)
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		if l != nil {
			_ = l.Close()
		}
		lock.release()
		done()
		return nil, fmt.Errorf("making the admin socket: %w", err)
	}
	return &listenerOf{Listener: l, lock: lock, done: done}, nil
}

func tooLong(path string) error {
	return fmt.Errorf("the path of the admin socket has %d bytes, %d are possible: choose a state folder with a shorter path than %s", len(path), maxPath, filepath.Dir(path))
}

// listenerOf gives the lock back when it is closed.
type listenerOf struct {
	net.Listener
	lock *lock
	done func() // with the path of the socket
	once sync.Once
	err  error
}

func (l *listenerOf) Close() error {
	l.once.Do(func() {
		l.err = l.Listener.Close() // removes the socket
		l.lock.release()
		l.done()
	})
	return l.err
}

// Sockets lists the gateways that live, by id, and removes what dead ones left
// behind. A folder that is missing has none.
func Sockets(folder string) ([]Socket, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	var out []Socket
	dead := false
	for _, e := range entries {
		id, ok := idOf(e.Name(), ".sock")
		switch {
		case !ok:
		case held(filepath.Join(folder, name(id, ".lock"))): // the socket is made after that
			out = append(out, Socket{ID: id, Path: filepath.Join(folder, e.Name())})
		default:
			dead = true
		}
	}
	if dead {
		if unguard, err := guard(folder); err == nil {
			reap(folder)
			unguard()
		}
	}
	slices.SortFunc(out, func(a, b Socket) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// Sweep removes what dead gateways left in a folder, and tells what it was, a
// line each. A folder that is missing has nothing.
func Sweep(folder string) ([]string, error) {
	switch _, err := os.Stat(folder); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	unguard, err := guard(folder)
	if err != nil {
		return nil, fmt.Errorf("locking the state folder: %w", err)
	}
	defer unguard()
	return reap(folder), nil
}

// private makes a folder for the owner alone, or checks that it is one.
func private(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("making the state folder: %w", err)
	}
	st, err := os.Stat(folder)
	if err != nil {
		return fmt.Errorf("looking at the state folder: %w", err)
	}
	if why := exposed(st); why != "" {
		return fmt.Errorf("the state folder %s %s", folder, why)
	}
	return nil
}

// reap removes the sockets and locks of gateways that ended without doing so.
// The caller holds the guard of the folder.
func reap(folder string) (removed []string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		id, ok := idOf(e.Name(), ".lock")
		if !ok {
			id, ok = idOf(e.Name(), ".sock")
		}
		if !ok {
			continue
		}
		l, err := acquire(filepath.Join(folder, name(id, ".lock")))
		if err != nil {
			continue // it lives
		}
		if socket := filepath.Join(folder, name(id, ".sock")); os.Remove(socket) == nil {
			removed = append(removed, "the socket "+socket)
		}
		l.release()
	}
	return removed
}
