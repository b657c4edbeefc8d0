//go:build e2e

package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// canaries are secrets that no scanner knows by their look, by what they are
// for.
var canaries = map[string]string{
	"PLAIN": "plain budgie of Anna", "BOXED": "boxed finch of Berta", "BOUND": "bound canary of Clara",
	"FILED": "filed wagtail of Doris", "CONTAINED": "contained heron of Emma", "HEADER": "header robin of Frida", "QUERY": "query+magpie of Greta",
}

// holdsCanary names the first canary that text holds, in whatever form.
func holdsCanary(text []byte) string {
	for name, value := range canaries {
		for _, form := range []string{
			value, url.QueryEscape(value), url.PathEscape(value), hex.EncodeToString([]byte(value)),
			strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(value)), "="),
			// Inside of base64 at the two other places.
			base64.StdEncoding.EncodeToString([]byte("x" + value))[2:20], base64.StdEncoding.EncodeToString([]byte("xx" + value))[3:20],
		} {
			if bytes.Contains(text, []byte(form)) {
				return name
			}
		}
	}
	return ""
}

// remoteServer is a server at a URL that wants its credentials, and speaks of
// them in all it says.
type remoteServer struct {
	*httptest.Server
	mu  sync.Mutex
	got []string
}

func newRemoteServer(t *testing.T) *remoteServer {
	r := &remoteServer{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.got = append(r.got, req.Header.Get("Authorization")+" "+req.URL.Query().Get("key"))
		r.mu.Unlock()
		w.Header().Set("X-Echo", req.Header.Get("Authorization"))
		http.Error(w, "you are "+req.Header.Get("Authorization")+" with "+req.URL.RawQuery, http.StatusForbidden)
	}))
	t.Cleanup(r.Close)
	return r
}

// TestCanaries runs servers of every kind with secrets in every form, has them
// say what they know on every way that there is, and searches what everybody
// else saw and what was written.
func TestCanaries(t *testing.T) {
	d := containers.Containerd(t)
	remote := newRemoteServer(t)
	cell := open(t, program(t, "internal/e2e/cell"))
	dotenv := filepath.Join(t.TempDir(), "secrets.env")
	var lines strings.Builder
	for name, value := range canaries {
		fmt.Fprintf(&lines, "%s='%s'\n", name, value)
	}
	if err := os.WriteFile(dotenv, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(t.TempDir(), "state")
	g := serve(t, runtimeSection(d, "containerd")+fmt.Sprintf(`
state: %s
secrets: {default: {kind: file, path: %s}}
servers:
  plain: {command: [%q], env: {PLAIN: "${PLAIN}"}}
  boxed:
    command: [%[3]q]
    confine: true
    env: {BOXED: "${BOXED}"}
    network: {allow: ["api.bound.test:443"]}
    secrets:
      BOUND: {hosts: [{host: api.bound.test}]}
      FILED: {file: /run/secrets/filed}
  contained:
    image: %s
    network: {allow: ["api.bound.test:443"]}
    secrets:
      BOUND: {hosts: [{host: api.bound.test}]}
      FILED: {file: /run/secrets/filed}
  weakest: {image: %[4]s, secrets: {CONTAINED: {}}}
  remote: {url: %q, headers: {Authorization: "Bearer ${HEADER}"}, query: {key: "${QUERY}"}}
`, state, dotenv, cell, probeImage(t), remote.URL+"/mcp"))

	c := &session{url: g.url}
	if err := c.open(); err != nil {
		t.Fatal(err)
	}
	var seen bytes.Buffer // by the client, and by who asks the gateway
	say := func(tool, arguments string) string {
		text, err := c.call(tool, arguments)
		fmt.Fprintf(&seen, "%s: %s, %v\n", tool, text, err)
		return text
	}
	for server, name := range map[string]string{"plain": "PLAIN", "boxed": "BOXED", "weakest": "CONTAINED"} {
		if text := say(server+"__env", fmt.Sprintf(`{"name":%q}`, name)); text != "[redacted:known-secret]" {
			t.Errorf("%s knows %q of its secret", server, text)
		}
	}
	for _, server := range []string{"boxed", "contained"} {
		if text := say(server+"__env", `{"name":"BOUND"}`); !strings.HasPrefix(text, "ghplaceholder_") {
			t.Errorf("%s has %q in place of a placeholder", server, text)
		}
		if text := say(server+"__read", `{"path":"/run/secrets/filed"}`); text != "[redacted:known-secret]" {
			t.Errorf("%s reads %q in its file", server, text)
		}
		say(server+"__dial", `{"address":"api.bound.test:443"}`)
		say(server+"__read", `{"path":"/proc/self/environ"}`)
	}
	for server, name := range map[string]string{"plain": "PLAIN", "boxed": "BOXED", "contained": "BOUND", "weakest": "CONTAINED"} {
		say(server+"__fail", fmt.Sprintf(`{"name":%q}`, name))
		say(server+"__stderr", fmt.Sprintf(`{"name":%q,"text":"here it is: "}`, name))
	}
	// A client that has got hold of a secret cannot hand it on.
	if _, err := c.call("plain__stderr", fmt.Sprintf(`{"text":%q}`, canaries["BOXED"])); err == nil || !strings.Contains(err.Error(), "known-secret") {
		t.Errorf("a call with a secret: %v", err)
	}
	say("remote__anything", "")
	for _, command := range [][]string{
		{"ps"}, {"ps", "--format", "json"}, {"stats"}, {"check", "--format", "json"}, {"secret", "ls"}, {"secret", "check", "--format", "json"},
	} {
		out, stderr, _ := runProgram(t, time.Minute, environ(g.home), g.home, program(t, "examples/gatehouse"), append(command, "--config", filepath.Join(g.home, "gatehouse.yaml"))...)
		fmt.Fprintf(&seen, "%s: %s%s\n", command, out, stderr)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		get(g.base + path)
	}

	written := func() (found []string) {
		for _, root := range []string{state, g.home, d.Dir} {
			found = append(found, search(root)...)
		}
		return found
	}
	// What a container gets in its environment lies in containerd's records
	// while it runs: the form is documented as the weakest. It also shows that
	// the search finds what is there.
	found := written()
	for _, f := range found {
		if !strings.HasPrefix(f, "CONTAINED in "+d.Dir) {
			t.Errorf("while it runs: %s", f)
		}
	}
	if len(found) == 0 {
		t.Error("the search does not even find what containerd keeps")
	}
	for server, name := range map[string]string{"plain": "PLAIN", "boxed": "BOXED", "contained": "BOUND", "weakest": "CONTAINED"} {
		say(server+"__crash", fmt.Sprintf(`{"name":%q}`, name))
	}
	c.close()
	noCores(t, g.home, filepath.Dir(cell))
	g.stop(t)
	d.Kill()
	for _, f := range written() {
		t.Errorf("after the end: %s", f)
	}

	if name := holdsCanary(seen.Bytes()); name != "" {
		t.Errorf("the client or the operator saw %s:\n%s", name, seen.String())
	}
	if log := g.out.String(); holdsCanary([]byte(log)) != "" {
		t.Errorf("the log holds %s:\n%s", holdsCanary([]byte(log)), log)
	}
	remote.mu.Lock()
	defer remote.mu.Unlock()
	if want := "Bearer " + canaries["HEADER"] + " " + canaries["QUERY"]; len(remote.got) == 0 || remote.got[0] != want {
		t.Errorf("the remote server got %q, not its secrets", remote.got)
	}
}

// search looks for canaries in every file below root.
func search(root string) (found []string) {
	_ = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil: // it went meanwhile
		case e.IsDir() && e.Name() == "rootfs":
			return fs.SkipDir // mounted: what is in memory there is the server's own
		case e.Type().IsRegular():
			b, _ := os.ReadFile(path)
			if name := holdsCanary(b); name != "" {
				found = append(found, name+" in "+path)
			}
		}
		return nil
	})
	return found
}

// noCores fails the test when there are core files.
func noCores(t *testing.T, folders ...string) {
	t.Helper()
	for _, f := range folders {
		names, _ := filepath.Glob(filepath.Join(f, "core*"))
		if len(names) > 0 {
			t.Errorf("core files: %v", names)
		}
	}
}
