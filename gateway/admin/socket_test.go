//go:build unix

package admin_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/gateway/admin"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// asGateway makes the test binary be a gateway that only has a socket: the
// variable's value is FOLDER:ID.
const asGateway = "GATEHOUSE_ADMIN_TEST"

func TestMain(m *testing.M) {
	if folder, id, ok := strings.Cut(os.Getenv(asGateway), ":"); ok {
		if _, err := admin.Listen(folder, id); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ready")
		_, _ = bufio.NewReader(os.Stdin).ReadByte() // until it is killed
		return
	}
	os.Exit(m.Run())
}

// folder is a private one with a short path.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// socket is a handler on a socket.
type socket struct {
	path      string
	listening chan struct{} // one for each stream of events that is served
	close     func()
}

func serveSocket(t *testing.T, feed *admin.Feed) *socket {
	t.Helper()
	l, err := admin.Listen(folder(t), "one")
	if err != nil {
		t.Fatal(err)
	}
	s := &socket{path: l.Addr().String(), listening: make(chan struct{}, 8)}
	h := admin.New(&fake{}, admin.AllowAll, &admin.Options{Feed: feed})
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&flushed{ResponseWriter: w, first: sync.OnceFunc(func() { s.listening <- struct{}{} })}, r)
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(l)
	}()
	s.close = sync.OnceFunc(func() { _ = srv.Close() })
	t.Cleanup(func() { s.close(); <-served })
	return s
}

// flushed tells of the first flush: the handler listens by then.
type flushed struct {
	http.ResponseWriter
	first func()
}

func (f *flushed) Unwrap() http.ResponseWriter { return f.ResponseWriter }

func (f *flushed) Flush() {
	f.ResponseWriter.(http.Flusher).Flush()
	f.first()
}

func ids(t *testing.T, dir string) string {
	t.Helper()
	sockets, err := admin.Sockets(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range sockets {
		out = append(out, s.ID)
	}
	return strings.Join(out, " ")
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func TestSockets(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "state", "deep")
	if got := ids(t, dir); got != "" {
		t.Errorf("a folder that is missing has %s", got)
	}
	one, err := admin.Listen(dir, "one")
	if err != nil {
		t.Fatal(err)
	}
	two, err := admin.Listen(dir, "two")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{dir: os.ModeDir | 0o700, one.Addr().String(): os.ModeSocket | 0o600} {
		if st, err := os.Stat(path); err != nil || st.Mode() != want {
			t.Errorf("%s has the mode %v, want %v (%v)", path, st.Mode(), want, err)
		}
	}
	if got := ids(t, dir); got != "one two" {
		t.Errorf("alive: %s", got)
	}
	if _, err := admin.Listen(dir, "one"); err == nil || !strings.Contains(err.Error(), "another gateway has the id one") {
		t.Errorf("the same id again: %v", err)
	}
	if err := errors.Join(one.Close(), one.Close()); err != nil {
		t.Error(err)
	}
	if got := ids(t, dir); got != "two" {
		t.Errorf("alive: %s", got)
	}
	if err := two.Close(); err != nil {
		t.Error(err)
	}
	if got := names(t, dir); got != "" {
		t.Errorf("left behind: %s", got)
	}
}

// TestKilledGateway kills a gateway: its socket is no living one any more, and
// is removed. Other programs' files stay, whatever their names.
func TestKilledGateway(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	for _, name := range []string{"yarn.lock", "other.sock", "gateway-.lock", "gateway-a b.lock"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const others = "gateway-.lock gateway-a b.lock other.sock yarn.lock"
	kill := func(id string) {
		t.Helper()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asGateway+"="+dir+":"+id)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
			t.Errorf("the gateway says %q, %v", line, err)
		}
		if got := ids(t, dir); got != id {
			t.Errorf("alive: %q, want %s", got, id)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if got := names(t, dir); !strings.Contains(got, "gateway-"+id+".lock gateway-"+id+".sock") {
			t.Errorf("the killed gateway left %s; this test checks nothing", got)
		}
	}
	kill("looked")
	if got := ids(t, dir); got != "" {
		t.Errorf("alive: %s", got)
	}
	if got := names(t, dir); got != others {
		t.Errorf("after Sockets: %s", got)
	}

	kill("started")
	l, err := admin.Listen(dir, "next")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, dir), "gateway-.lock gateway-a b.lock gateway-next.lock gateway-next.sock other.sock yarn.lock"; got != want {
		t.Errorf("after Listen: %s, want %s", got, want)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}

	// A socket whose lock is gone is dead too.
	bare, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join(dir, "gateway-bare.sock")})
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	if got := ids(t, dir); got != "" || names(t, dir) != others {
		t.Errorf("alive: %s; files: %s", got, names(t, dir))
	}
}

// TestManyAtOnce has gateways of one folder start, end and be looked for at
// the same time: none may take another for dead.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 40 {
				id := fmt.Sprintf("g%d-%d", g, n)
				l, err := admin.Listen(dir, id)
				if err != nil {
					t.Errorf("%s: %v", id, err)
					return
				}
				if !strings.Contains(" "+ids(t, dir)+" ", " "+id+" ") {
					t.Errorf("%s is not among the living", id)
				}
				_ = l.Close()
			}
		})
	}
	wg.Wait()
	if got := names(t, dir); got != "" {
		t.Errorf("left behind: %s", got)
	}
}

func TestFoldersThatAreNotPrivate(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	for _, mode := range []os.FileMode{0o755, 0o770, 0o701} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := admin.Listen(dir, "one"); err == nil || !strings.Contains(err.Error(), "can be opened by others") || !strings.Contains(err.Error(), "chmod 700") {
			t.Errorf("%v: %v", mode, err)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if _, err := admin.Listen(path, "one"); err == nil {
			t.Errorf("%s is no folder and is accepted", path)
		}
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	for _, id := range []string{"", "../x", "a/b", "a.b", "a b", strings.Repeat("x", 65)} {
		if l, err := admin.Listen(dir, id); err == nil {
			_ = l.Close()
			t.Errorf("the id %q is accepted", id)
		}
	}
}

func TestClient(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	l, err := admin.Listen(dir, "one")
	if err != nil {
		t.Fatal(err)
	}
	did := make(chan string, 2)
	gw := &fake{}
	h := admin.New(gw, func(_ transport.Principal, a admin.Action) error {
		if a.Server == "locked" {
			return errors.New("this server is locked")
		}
		return nil
	}, &admin.Options{
		Reload: func(context.Context) error { did <- "reload"; return nil },
		Drain:  func() { did <- "drain" }, // after the answer
	})
	srv := &http.Server{Handler: h}
	served := make(chan struct{})
	go func() { defer close(served); _ = srv.Serve(l) }()
	defer func() { _ = srv.Close(); <-served }()

	sockets, err := admin.Sockets(dir)
	if err != nil || len(sockets) != 1 {
		t.Fatalf("sockets: %v, %v", sockets, err)
	}
	c, ctx := admin.NewClient(sockets[0].Path), t.Context()
	st, err := c.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if st.ID != "id" || len(st.Servers) != 2 || st.Servers[0].Instances[0].ID != "i1" {
		t.Errorf("status: %+v", st)
	}
	if err := errors.Join(c.Restart(ctx, "files"), c.Reload(ctx), c.Drain(ctx)); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprintf("%s %s %s", gw.restarted, <-did, <-did); got != "[files] reload drain" {
		t.Errorf("it did %s", got)
	}
	for server, want := range map[string]string{"locked": "this server is locked", "a/b?": `there is no server "a/b?"`} {
		if err := c.Restart(ctx, server); err == nil || err.Error() != want {
			t.Errorf("restarting %s: %v, want %s", server, err, want)
		}
	}
	if err := c.Events(ctx, nil); err == nil || err.Error() != "GET /v1/events is not offered here" {
		t.Errorf("events: %v", err)
	}
	if _, err := admin.NewClient(filepath.Join(dir, "none.sock")).Status(ctx); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a socket that is missing: %v", err)
	}
}

// TestClientEvents ends with the context, with the gateway, or by the
// function's error.
func TestClientEvents(t *testing.T) {
	t.Parallel()
	feed := admin.NewFeed(gateway.Events{})
	s := serveSocket(t, feed)
	enough := errors.New("enough")
	for _, tc := range []struct {
		end  func(cancel context.CancelFunc) error
		want error
	}{
		{func(context.CancelFunc) error { return enough }, enough},
		{func(cancel context.CancelFunc) error { cancel(); return nil }, context.Canceled},
		{func(context.CancelFunc) error { s.close(); return nil }, nil},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- admin.NewClient(s.path).Events(ctx, func(admin.Event) error { return tc.end(cancel) })
		}()
		<-s.listening
		feed.Events().Lists("files")
		if err := <-done; !errors.Is(err, tc.want) {
			t.Errorf("Events returned %v, want %v", err, tc.want)
		}
		cancel()
	}
}
