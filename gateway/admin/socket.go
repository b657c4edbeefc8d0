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

// Listen makes ID.sock in a folder, which is made when it is missing, and
// holds the lock of ID.lock until the listener is closed. The folder and the
// socket can be opened by their owner alone; a folder that others can open is
// refused. What dead gateways left in the folder is removed.
func Listen(folder, id string) (net.Listener, error) {
	if !validID.MatchString(id) {
		return nil, fmt.Errorf("%q cannot be the name of a socket", id)
	}
	if err := private(folder); err != nil {
		return nil, err
	}
	path, done, err := reach(filepath.Join(folder, id+".sock"))
	if err != nil {
		return nil, err
	}
	lock, err := acquire(filepath.Join(folder, id+".lock"))
	if err != nil {
		done()
		return nil, fmt.Errorf("another gateway has the id %s: %w", id, err)
	}
	reap(folder, id)
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

// Sockets lists the gateways that live, by id. A folder that is missing has
// none.
func Sockets(folder string) ([]Socket, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	var out []Socket
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".sock")
		if !ok || !validID.MatchString(id) {
			continue
		}
		if !dead(filepath.Join(folder, id+".lock")) {
			out = append(out, Socket{ID: id, Path: filepath.Join(folder, e.Name())})
		}
	}
	slices.SortFunc(out, func(a, b Socket) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
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
func reap(folder, self string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".lock")
		if !ok || id == self || !validID.MatchString(id) {
			continue
		}
		l, err := acquire(filepath.Join(folder, e.Name()))
		if err != nil {
			continue // it lives
		}
		_ = os.Remove(filepath.Join(folder, id+".sock"))
		l.release()
	}
}

// dead reports whether nobody holds a lock. It leaves no trace.
func dead(path string) bool {
	if _, err := os.Stat(path); err != nil {
		return true
	}
	l, err := acquire(path)
	if err != nil {
		return false
	}
	l.close()
	return true
}
