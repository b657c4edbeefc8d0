package interceptor_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

var (
	panics = interceptor.Func(func(context.Context, *interceptor.Call, interceptor.Handler) (*interceptor.Result, error) {
		panic("out of cheese")
	})
	denies = interceptor.Func(func(context.Context, *interceptor.Call, interceptor.Handler) (*interceptor.Result, error) {
		return nil, interceptor.Denyf("no")
	})
	hangs = interceptor.Func(func(ctx context.Context, _ *interceptor.Call, _ interceptor.Handler) (*interceptor.Result, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	fails = interceptor.Func(func(context.Context, *interceptor.Call, interceptor.Handler) (*interceptor.Result, error) {
		return nil, errors.New("the store is away")
	})
)

func TestPanicDeniesAndSaysNothing(t *testing.T) {
	t.Parallel()
	_, err := interceptor.Wrap(answer(`{}`, nil), panics)(t.Context(), call(`{}`))
	var p *interceptor.PanicError
	if !errors.As(err, &p) || p.Value != "out of cheese" || len(p.Stack) == 0 {
		t.Errorf("got %v", err)
	}
	if r := transport.AsRPCError(err); r.Code != transport.CodeInternal || strings.Contains(r.Message, "cheese") {
		t.Errorf("a peer sees %v", r)
	}
	last := func(context.Context, *interceptor.Call) (*interceptor.Result, error) { panic("handler") }
	pass := interceptor.Func(func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
		return next(ctx, c)
	})
	if _, err := interceptor.Wrap(last, pass)(t.Context(), call(`{}`)); !errors.As(err, &p) || p.Value != "handler" {
		t.Errorf("a panic of the handler: %v", err)
	}
}

func TestArgIsExact(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args string
		path []string
		want string // of String
		raw  string
	}{
		{`{"q":"a\u0041"}`, []string{"q"}, "aA", `"a\u0041"`},
		{`{"q": 9007199254740993 }`, []string{"q"}, "9007199254740993", "9007199254740993"},
		{`{"l":[{"p":"x"},{"p":"y"}]}`, []string{"l", "1", "p"}, "y", `"y"`},
		{`{"q":"a"}`, []string{"x"}, "", ""},
		{`{"q":"a"}`, []string{"q", "x"}, "", ""},
		{`{"l":[1]}`, []string{"l", "1"}, "", ""},
		{`{"q":"\ud800x"}`, []string{"q"}, "\ufffdx", `"\ud800x"`},
	} {
		c := call(`{"name":"t","arguments":` + tc.args + `}`)
		v := c.Arg(tc.path...)
		if v.String() != tc.want || string(v.Raw()) != tc.raw || v.Exists() != (tc.raw != "") {
			t.Errorf("%s %q: %q %q", tc.args, tc.path, v.String(), v.Raw())
		}
	}
	if n, ok := call(`{"arguments":{"n":-9223372036854775808}}`).Arg("n").Int64(); !ok || n != -9223372036854775808 {
		t.Errorf("Int64: %d %v", n, ok)
	}
	if _, ok := call(`{"arguments":{"n":1.5}}`).Arg("n").Int64(); ok {
		t.Error("1.5 is an integer")
	}
	if b, ok := call(`{"arguments":{"b":true}}`).Arg("b").Bool(); !b || !ok {
		t.Error("true is not true")
	}
}

// An interceptor that read an argument which another reader reads differently
// has decided nothing: the call ends, before and after.
func TestArgDeniesWhatCanBeReadInTwoWays(t *testing.T) {
	t.Parallel()
	for _, args := range []string{`{"query":"SELECT","Query":"DROP"}`, `{"QUERY":"DROP"}`, `{"query":"SELECT","x":1,"X":2}`, `{"\u212aey":1,"query":"a","key":2}`} {
		reached := false
		h := interceptor.Wrap(func(context.Context, *interceptor.Call) (*interceptor.Result, error) {
			reached = true
			return &interceptor.Result{}, nil
		}, interceptor.Func(func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
			_ = c.Arg("query").String()
			return next(ctx, c)
		}))
		_, err := h(t.Context(), call(`{"name":"t","arguments":`+args+`}`))
		var d *interceptor.Denial
		if !errors.As(err, &d) || !strings.HasPrefix(d.Reason, `the arguments can be read in two ways: beside or in place of "query"`) || reached {
			t.Errorf("%s: %v, reached %v", args, err, reached)
		}
	}
}

func TestSetArg(t *testing.T) {
	t.Parallel()
	c := call(`{"name":"t","arguments":{ "a":1.0,"l":[1,{"x":2}] },"v":1e2}`)
	for _, err := range []error{
		c.SetArg("<b>", "b"), c.SetArg(json.RawMessage(`[ ]`), "n", "m"), c.SetArg(nil, "l", "1", "x"), c.DeleteArg("a"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if want := `{"name":"t","arguments":{ "l":[1,{"x":null}],"b":"<b>","n":{"m":[ ]} },"v":1e2}`; string(c.Params) != want {
		t.Errorf("got  %s\nwant %s", c.Params, want)
	}
	for want, err := range map[string]error{
		"the argument l.7: the array has no element 7":               c.SetArg(1, "l", "7"),
		`the argument l.x: "x" is no index of an array`:              c.SetArg(1, "l", "x"),
		"the argument l.0: an element of an array cannot be removed": c.DeleteArg("l", "0"),
		"the path to the argument is empty":                          c.SetArg(1),
	} {
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestSelector(t *testing.T) {
	t.Parallel()
	c := call(`{}`)
	c.Profile = "dev"
	c.Principal = transport.Principal{Subject: "ada", Issuer: "https://id.example", Groups: []string{"eng"}}
	for _, tc := range []struct {
		sel  interceptor.Selector
		want bool
	}{
		{interceptor.Selector{}, true},
		{interceptor.Selector{Methods: []string{"tools/*"}, Servers: []string{"s"}, Names: []string{"t"}}, true},
		{interceptor.Selector{Names: []string{"s__?"}}, true},
		{interceptor.Selector{Names: []string{"x*"}}, false},
		{interceptor.Selector{Directions: []interceptor.Direction{interceptor.FromServer}}, false},
		{interceptor.Selector{Profiles: []string{"prod", "d*v"}}, true},
		{interceptor.Selector{Principals: []string{"ada"}}, true},
		{interceptor.Selector{Principals: []string{"*@https://id.example"}}, true},
		{interceptor.Selector{Principals: []string{"anonymous"}}, false},
		{interceptor.Selector{Groups: []string{"ops"}}, false},
		{interceptor.Selector{Groups: []string{"e*"}}, true},
		{interceptor.Selector{Match: func(c *interceptor.Call) bool { return c.Server != "s" }}, false},
	} {
		if got := tc.sel.Matches(c); got != tc.want {
			t.Errorf("%+v: %v", tc.sel, got)
		}
	}
	if s := (interceptor.Selector{Principals: []string{"anonymous"}}); !s.Matches(call(`{}`)) {
		t.Error("the anonymous principal has no name")
	}
}

func TestContainFailsClosedUnlessTold(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		i interceptor.Interceptor
		b interceptor.Bounds
		// the error, or "" when the call passes
		want string
	}{
		"panic":         {panics, interceptor.Bounds{}, "interceptor.Func panicked: out of cheese"},
		"panic, open":   {panics, interceptor.Bounds{FailOpen: true}, ""},
		"error":         {fails, interceptor.Bounds{}, "the store is away"},
		"error, open":   {fails, interceptor.Bounds{FailOpen: true}, ""},
		"denial, open":  {denies, interceptor.Bounds{FailOpen: true}, "no"},
		"timeout":       {hangs, interceptor.Bounds{Timeout: time.Second}, "interceptor.Func took longer than 1s: an interceptor did not decide in time (-31004)"},
		"timeout, open": {hangs, interceptor.Bounds{Timeout: time.Second, FailOpen: true}, ""},
		"in time":       {denies, interceptor.Bounds{Timeout: time.Second}, "no"},
		"panic in time": {panics, interceptor.Bounds{Timeout: time.Second, FailOpen: true}, ""},
		"server's failure": {interceptor.Func(func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
			return next(ctx, c)
		}), interceptor.Bounds{Timeout: time.Second, FailOpen: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				reports := 0
				tc.b.Report = func(context.Context, *interceptor.Call, error) { reports++ }
				i := interceptor.Contain(tc.i, tc.b)
				calls := 0
				res, err := interceptor.Wrap(func(context.Context, *interceptor.Call) (*interceptor.Result, error) {
					calls++
					return &interceptor.Result{Raw: json.RawMessage(`{}`)}, nil
				}, i)(t.Context(), call(`{}`))
				if tc.want == "" {
					if err != nil || string(res.Raw) != "{}" || calls != 1 {
						t.Errorf("got %v %v after %d calls", res, err, calls)
					}
				} else if err == nil || err.Error() != tc.want || calls != 0 {
					t.Errorf("got %v after %d calls, want %s", err, calls, tc.want)
				}
				if err := interceptor.Wait(t.Context(), i); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The time of the rest of the chain does not count, and what the interceptor
// changes before and after is kept.
func TestContainCountsOwnTimeAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := interceptor.Contain(interceptor.Func(func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
			c.Params = json.RawMessage(`{"changed":1}`)
			res, err := next(ctx, c)
			if err != nil {
				return nil, err
			}
			return &interceptor.Result{Raw: append(res.Raw, ' ')}, nil
		}), interceptor.Bounds{Timeout: time.Second})
		var got string
		slow := answer(`{}`, &got)
		res, err := interceptor.Wrap(func(ctx context.Context, c *interceptor.Call) (*interceptor.Result, error) {
			time.Sleep(time.Hour)
			return slow(ctx, c)
		}, i)(t.Context(), call(`{}`))
		if err != nil || string(res.Raw) != "{} " || got != `{"changed":1}` {
			t.Errorf("got %v %v %s", res, err, got)
		}
	})
}

func TestMonitorLetsTheOriginalPass(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		i    interceptor.Interceptor
		want []interceptor.Outcome
	}{
		"passes": {interceptor.Func(func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
			return next(ctx, c)
		}), nil},
		"denies": {denies, []interceptor.Outcome{interceptor.Denied}},
		"panics": {panics, []interceptor.Outcome{interceptor.Failed}},
		"answers": {interceptor.Func(func(context.Context, *interceptor.Call, interceptor.Handler) (*interceptor.Result, error) {
			return &interceptor.Result{Raw: json.RawMessage(`1`)}, nil
		}), []interceptor.Outcome{interceptor.Answered}},
		"changes both": {interceptor.Func(func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
			c.Params = json.RawMessage(`{"x":1}`)
			res, err := next(ctx, c)
			res.Raw = json.RawMessage(`2`)
			return res, err
		}), []interceptor.Outcome{interceptor.Changed, interceptor.Changed}},
		"asks": {interceptor.Func(func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
			if _, err := c.Ask(ctx, "elicitation/create", nil); err != interceptor.ErrCannotAsk {
				return nil, err
			}
			return next(ctx, c)
		}), []interceptor.Outcome{interceptor.Asked}},
		"denies afterwards": {interceptor.Func(func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
			if _, err := next(ctx, c); err != nil {
				return nil, err
			}
			return nil, interceptor.Denyf("no")
		}), []interceptor.Outcome{interceptor.Denied}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var seen []interceptor.Outcome
				m := interceptor.Monitor(tc.i, func(_ context.Context, d interceptor.Decision) {
					mu.Lock()
					defer mu.Unlock()
					seen = append(seen, d.Outcome)
				})
				calls := 0
				var got string
				h := interceptor.Wrap(func(ctx context.Context, c *interceptor.Call) (*interceptor.Result, error) {
					calls++
					got = string(c.Params)
					time.Sleep(time.Second)
					return &interceptor.Result{Raw: json.RawMessage(`{"real":1}`)}, nil
				}, m)
				began := time.Now()
				res, err := h(t.Context(), call(`{"a":1}`))
				if err != nil || string(res.Raw) != `{"real":1}` || calls != 1 || got != `{"a":1}` || time.Since(began) != time.Second {
					t.Errorf("the original: %v %v, %d calls with %s, %s", res, err, calls, got, time.Since(began))
				}
				if err := interceptor.Wait(t.Context(), m); err != nil {
					t.Fatal(err)
				}
				if len(seen) != len(tc.want) {
					t.Fatalf("reports %v, want %v", seen, tc.want)
				}
				for i := range seen {
					if seen[i] != tc.want[i] {
						t.Errorf("reports %v, want %v", seen, tc.want)
					}
				}
			})
		})
	}
}

// A monitored counter counts apart from the real one.
func TestMonitorHasASessionOfItsOwn(t *testing.T) {
	t.Parallel()
	first := interceptor.Func(func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
		if _, loaded, _ := c.Session().LoadOrStore(ctx, "first", "1"); loaded {
			return nil, interceptor.Denyf("only once")
		}
		return next(ctx, c)
	})
	m := interceptor.Monitor(first, nil)
	h := interceptor.Wrap(answer(`{}`, nil), m, first)
	if _, err := h(t.Context(), call(`{}`)); err != nil {
		t.Error(err)
	}
	if err := interceptor.Wait(t.Context(), m); err != nil {
		t.Error(err)
	}
}

// hides drops the items with a name.
type hides struct{ name, view string }

func (h hides) Intercept(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
	return next(ctx, c)
}
func (h hides) View(*interceptor.Call) string { return h.view }
func (h hides) Item(_ context.Context, _ *interceptor.Call, i *interceptor.Item) error {
	if i.Original == h.name {
		i.Drop()
	}
	return nil
}

func TestFiltersAreFoundInside(t *testing.T) {
	t.Parallel()
	var hidden []string
	fs := interceptor.Filters(
		denies,
		hides{"a", "v"},
		interceptor.When(interceptor.Selector{Servers: []string{"s"}, Groups: []string{"g"}}, hides{"b", "v"}),
		interceptor.Contain(hides{"c", "v"}, interceptor.Bounds{}),
		interceptor.Monitor(hides{"d", "v"}, func(_ context.Context, d interceptor.Decision) {
			hidden = append(hidden, string(d.Outcome)+" "+d.Item.Original)
		}),
		interceptor.When(interceptor.Selector{Match: func(*interceptor.Call) bool { return true }}, hides{"e", "v"}),
	)
	if len(fs) != 5 {
		t.Fatalf("%d filters", len(fs))
	}
	c := &interceptor.Call{Method: "tools/list", Principal: transport.Principal{Subject: "ada", Groups: []string{"g"}}}
	var views []string
	for _, f := range fs {
		views = append(views, f.View(c))
	}
	if got := strings.Join(views, ","); got != "v,+v,v,v," {
		t.Errorf("views %q", got)
	}
	if got := fs[1].View(&interceptor.Call{}); got != "-" {
		t.Errorf("the view of a stranger is %q", got)
	}
	dropped := func(server, name string) bool {
		i := &interceptor.Item{Server: server, Name: server + "__" + name, Original: name}
		for _, f := range fs {
			if err := f.Item(t.Context(), c, i); err != nil {
				t.Error(err)
			}
		}
		return i.Dropped()
	}
	for name, want := range map[string]bool{"a": true, "b": true, "c": true, "d": false, "e": true, "f": false} {
		if got := dropped("s", name); got != want {
			t.Errorf("%s dropped: %v", name, got)
		}
	}
	if dropped("other", "b") {
		t.Error("a selector by server hides items of another")
	}
	if len(hidden) != 1 || hidden[0] != "hidden d" {
		t.Errorf("reports %q", hidden)
	}
}
