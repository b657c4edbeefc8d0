package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/internal/testserver"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

var echo testserver.Handler = func(_ context.Context, c *testserver.Call) (string, error) {
	return `{"content":[{"type":"text","text":` + c.Arg("text") + `}]}`, nil
}

func TestZeroOptionsAnswerTheProtocol(t *testing.T) {
	t.Parallel()
	gw := open(t, nil)
	p := legacyClient(t, gw, "{}", nil)
	if got := p.must("ping", "{}"); got != "{}" {
		t.Errorf("ping: %s", got)
	}
	if got := p.must("tools/list", "{}"); got != `{"tools":[]}` {
		t.Errorf("tools/list: %s", got)
	}
	if e := p.fails("tools/call", `{"name":"x"}`); e.Code != transport.CodeInvalidParams || e.Message != `unknown tool "x"` {
		t.Errorf("tools/call: %v", e)
	}
	if e := p.fails("vendor/x", `{}`); e.Code != transport.CodeMethodNotFound {
		t.Errorf("vendor/x: %v", e)
	}
	m := modernClient(t, gw, "{}")
	if got := get(m.must("server/discover", "{}"), "resultType"); got != "complete" {
		t.Errorf("server/discover: resultType %q", got)
	}
	if e := m.fails("ping", "{}"); e.Code != transport.CodeMethodNotFound {
		t.Errorf("ping in the modern era: %v", e)
	}
}

func TestToolsOfManyServers(t *testing.T) {
	t.Parallel()
	a := testserver.New("a", transport.Legacy).Tool("echo", echo).Tool("list.files", echo)
	b := testserver.New("b", transport.Modern).Tool("echo", echo)
	c := testserver.New("c", transport.Legacy, transport.Modern).Tool("echo", echo)
	gw := open(t, &gateway.Options{
		Servers: []gateway.Server{
			{Name: "a", Launcher: a}, {Name: "my.b", Launcher: b}, {Name: "c", Launcher: c},
		},
		Unprefixed: "c",
	})
	prefix := gateway.Prefix("my.b")
	for era, p := range map[string]*peer{"legacy": legacyClient(t, gw, "{}", nil), "modern": modernClient(t, gw, "{}")} {
		t.Run(era, func(t *testing.T) {
			list := names(p.must("tools/list", "{}"), "tools")
			if len(list) != 4 || list[0] != "a__echo" || !strings.HasPrefix(list[1], "a__list_files_") || list[2] != prefix+"__echo" || list[3] != "echo" {
				t.Fatalf("tools/list: %q", list)
			}
			for _, name := range list {
				res := p.must("tools/call", `{"name":"`+name+`","arguments":{"text":"`+name+`"}}`)
				if got := textOf(res); got != name {
					t.Errorf("%s answered %q", name, res)
				}
				if want := era == "modern"; (get(res, "resultType") == "complete") != want && name != prefix+"__echo" {
					t.Errorf("%s: %s", name, res)
				}
			}
		})
	}
}

func TestCallNeedsNoList(t *testing.T) {
	t.Parallel()
	a := testserver.New("a", transport.Legacy).Tool("echo", echo).Tool("with.dot", echo)
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "a", Launcher: a}}})
	first := legacyClient(t, gw, "{}", nil)
	if got := textOf(first.must("tools/call", `{"name":"a__echo","arguments":{"text":"x"}}`)); got != "x" {
		t.Errorf("answered %q", got)
	}
	var folded string
	for _, n := range names(first.must("tools/list", "{}"), "tools") {
		if strings.Contains(n, "dot") {
			folded = n
		}
	}
	other := legacyClient(t, open(t, &gateway.Options{Servers: []gateway.Server{{Name: "a", Launcher: a}}}), "{}", nil)
	if got := textOf(other.must("tools/call", `{"name":"`+folded+`","arguments":{"text":"y"}}`)); got != "y" {
		t.Errorf("answered %q", got)
	}
}

func TestNamesStayWhenServersComeAndGo(t *testing.T) {
	t.Parallel()
	mk := func(names ...string) map[string]bool {
		o := &gateway.Options{}
		for _, n := range names {
			o.Servers = append(o.Servers, gateway.Server{Name: n, Launcher: testserver.New(n, transport.Legacy).Tool("t", echo).Tool(strings.Repeat("long", 30), echo)})
		}
		p := legacyClient(t, open(t, o), "{}", nil)
		set := map[string]bool{}
		for _, n := range names2(p) {
			if len(n) > 64 {
				t.Errorf("%q has %d characters", n, len(n))
			}
			set[n] = true
		}
		return set
	}
	all := mk("my server", "my.server", "my_server", "a__b", "_", strings.Repeat("x", 100))
	if len(all) != 12 {
		t.Errorf("names clash: %v", all)
	}
	for _, n := range []string{"my server", "my.server", "my_server", "a__b", "_"} {
		for name := range mk(n) {
			if !all[name] {
				t.Errorf("%q is named %q alone", n, name)
			}
		}
	}
}

func names2(p *peer) []string { return names(p.must("tools/list", "{}"), "tools") }

func TestPagination(t *testing.T) {
	t.Parallel()
	a := testserver.New("a", transport.Legacy)
	a.List("tools/list", func(cursor string) string {
		switch cursor {
		case "":
			return `{"tools":[{"name":"t1"},{"name":"t2"}],"nextCursor":"p2"}`
		case "p2":
			return `{"tools":[{"name":"t3"}],"nextCursor":"p3"}`
		}
		return `{"tools":[{"name":"t4"},{"name":"t5"}]}`
	})
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "a", Launcher: a}}, Limits: gateway.Limits{Page: 2}})
	for _, p := range []*peer{legacyClient(t, gw, "{}", nil), modernClient(t, gw, "{}")} {
		var all []string
		cursor := ""
		for page := 0; page < 4; page++ {
			res := p.must("tools/list", cursor2(cursor))
			all = append(all, names(res, "tools")...)
			if cursor = get(res, "nextCursor"); cursor == "" {
				break
			}
		}
		if want := []string{"a__t1", "a__t2", "a__t3", "a__t4", "a__t5"}; !slices.Equal(all, want) {
			t.Errorf("got %q", all)
		}
		if e := p.fails("tools/list", `{"cursor":"p2"}`); e.Code != transport.CodeInvalidParams {
			t.Errorf("a server's own cursor: %v", e)
		}
		_ = p.conn.Close()
	}
}

func cursor2(c string) string {
	if c == "" {
		return "{}"
	}
	return `{"cursor":"` + c + `"}`
}

func TestServerThatRepeatsACursorHurtsNobodyElse(t *testing.T) {
	t.Parallel()
	bad := testserver.New("bad", transport.Legacy)
	bad.List("tools/list", func(string) string { return `{"tools":[{"name":"t"}],"nextCursor":"again"}` })
	good := testserver.New("good", transport.Legacy).Tool("echo", echo)
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "bad", Launcher: bad}, {Name: "good", Launcher: good}}})
	p := legacyClient(t, gw, "{}", nil)
	if got := names2(p); !slices.Equal(got, []string{"good__echo"}) {
		t.Errorf("got %q", got)
	}
}

func TestCrashCostsOneErrorAndTheNextCallWorks(t *testing.T) {
	t.Parallel()
	a := testserver.New("a", transport.Legacy).Tool("echo", echo)
	a.Tool("die", func(ctx context.Context, c *testserver.Call) (string, error) {
		c.Instance.Crash(3, "panic: out of cheese")
		<-ctx.Done()
		return "", ctx.Err()
	})
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "a", Launcher: a}}})
	p := legacyClient(t, gw, "{}", nil)
	res := p.must("tools/call", `{"name":"a__die"}`)
	want := `server "a" ended during the call, which may have run: exited with code 3; last output: panic: out of cheese`
	if get(res, "isError") != "true" || textOf(res) != want {
		t.Errorf("got %s", res)
	}
	if got := textOf(p.must("tools/call", `{"name":"a__echo","arguments":{"text":"again"}}`)); got != "again" {
		t.Errorf("got %q", got)
	}
	if n := a.Starts.Load(); n != 2 {
		t.Errorf("%d starts", n)
	}
}

func TestServerThatDoesNotStart(t *testing.T) {
	t.Parallel()
	bad := testserver.New("bad", transport.Legacy).Tool("echo", echo)
	bad.BeforeStart = func(context.Context, runtime.Key) error { return fmt.Errorf("no such file: /opt/bad") }
	good := testserver.New("good", transport.Legacy).Tool("echo", echo)
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "bad", Launcher: bad}, {Name: "good", Launcher: good}}})
	p := legacyClient(t, gw, "{}", nil)
	if got := names2(p); !slices.Equal(got, []string{"good__echo"}) {
		t.Errorf("got %q", got)
	}
	res := p.must("tools/call", `{"name":"bad__echo"}`)
	if get(res, "isError") != "true" || !strings.Contains(textOf(res), "no such file: /opt/bad") {
		t.Errorf("got %s", res)
	}
	if got := textOf(p.must("tools/call", `{"name":"good__echo","arguments":{"text":"ok"}}`)); got != "ok" {
		t.Errorf("got %q", got)
	}
}

func TestSlowServerDoesNotHoldUpTheList(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	slow := testserver.New("slow", transport.Legacy).Tool("echo", echo)
	slow.BeforeStart = func(ctx context.Context, _ runtime.Key) error {
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	fast := testserver.New("fast", transport.Legacy).Tool("echo", echo)
	gw := open(t, &gateway.Options{
		Servers:  []gateway.Server{{Name: "slow", Launcher: slow}, {Name: "fast", Launcher: fast}},
		Timeouts: gateway.Timeouts{List: 500 * time.Millisecond},
	})
	p := legacyClient(t, gw, "{}", nil)
	if got := names2(p); !slices.Equal(got, []string{"fast__echo"}) {
		t.Errorf("got %q", got)
	}
	close(release)
	p.note(method("notifications/tools/list_changed"))
	if got := names2(p); !slices.Equal(got, []string{"slow__echo", "fast__echo"}) {
		t.Errorf("got %q", got)
	}
}

func readOf(name string) testserver.Handler {
	return func(_ context.Context, c *testserver.Call) (string, error) {
		uri := get(string(c.Params), "uri")
		return `{"contents":[{"uri":"` + uri + `","text":"` + name + ` ` + uri + `"}]}`, nil
	}
}

func TestTasksAreTheCallersOwn(t *testing.T) {
	t.Parallel()
	srv := testserver.New("s", transport.Legacy)
	srv.Capabilities = `{"tools":{},"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}}`
	srv.Tool("long", func(context.Context, *testserver.Call) (string, error) {
		return `{"task":{"taskId":"T1","status":"working"}}`, nil
	})
	state := func(_ context.Context, c *testserver.Call) (string, error) {
		if get(string(c.Params), "taskId") != "T1" {
			return "", transport.Errorf(transport.CodeInvalidParams, "unknown task")
		}
		return `{"taskId":"T1","status":"completed","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"T1"}}}`, nil
	}
	srv.Method("tasks/get", state).Method("tasks/cancel", state)
	srv.Method("tasks/result", func(_ context.Context, c *testserver.Call) (string, error) {
		return `{"content":[],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"` + get(string(c.Params), "taskId") + `"}}}`, nil
	})
	srv.Method("tasks/list", func(context.Context, *testserver.Call) (string, error) {
		return `{"tasks":[{"taskId":"T1","status":"working"}]}`, nil
	})
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "s", Launcher: srv}}})
	ann, bob := connect(t, gw, "ann"), connect(t, gw, "bob")
	id := get(ann.must("tools/call", `{"name":"s__long","task":{"ttl":1000}}`), "task", "taskId")
	if id == "" || id == "T1" {
		t.Fatalf("task id %q", id)
	}
	for _, m := range []string{"tasks/get", "tasks/cancel"} {
		res := ann.must(m, `{"taskId":"`+id+`"}`)
		if get(res, "taskId") != id || get(res, "_meta", "io.modelcontextprotocol/related-task", "taskId") != id {
			t.Errorf("%s: %s", m, res)
		}
	}
	if res := ann.must("tasks/result", `{"taskId":"`+id+`"}`); get(res, "_meta", "io.modelcontextprotocol/related-task", "taskId") != id {
		t.Errorf("tasks/result: %s", res)
	}
	if res := ann.must("tasks/list", `{}`); !strings.Contains(res, id) {
		t.Errorf("tasks/list: %s", res)
	}
	for _, m := range []string{"tasks/get", "tasks/cancel", "tasks/result"} {
		for _, other := range []string{id, "T1"} {
			if e := bob.fails(m, `{"taskId":"`+other+`"}`); e.Code != transport.CodeInvalidParams || e.Message != "taskId is unknown or expired" {
				t.Errorf("%s of somebody else: %v", m, e)
			}
		}
	}
}
