package rawjson

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestCheckParams(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		`{}`,
		` { "name" : "a" , "arguments" : { } } `,
		`{"name":"a","arguments":{"Name":1,"name":2,"NAME":3}}`,
		`{"name":"a","arguments":{"a":"\ud800","b":"\u0000","c":1e999,"\udfff":1}}`,
		`{"name":"\ud83d\ude00 ü","uri":"\u00e9","cursor":"\\u0000"}`,
		`{"_meta":{"vendor":1,"Vendor":2,"IO.example/x":1,"progressToken":1}}`,
		`{"_meta":{"io.modelcontextprotocol/clientInfo":{"name":"a","Name":"\u0000"}}}`,
		`{"_meta":{"name":1,"Name":"\ud800"}}`,
		`{"_meta":"\ud800","ref":[1,{"NAME":1}]}`,
		`{"arguments":{"a":[{"x":1},{"x":1}],"x":{"x":{"x":1}}},"x":1}`,
		`{"name":{"a":"\u0000"},"progressToken":12345678901234567890123,"requestId":1e-999}`,
		`{"unknown":"\ud800","message":"\u0000","reason":"\udc00"}`,
	} {
		if err := CheckParams([]byte(in), 6); err != nil {
			t.Errorf("CheckParams(%s): %v", in, err)
		}
	}
}

func TestCheckParamsRefuses(t *testing.T) {
	t.Parallel()
	const (
		twice     = `the key stands twice in its object; send it once`
		utf8      = `bytes that are not UTF-8; encode the text as UTF-8`
		nul       = `the text holds a NUL (\u0000); remove it`
		surrogate = `the text holds half of a surrogate pair (\ud800 to \udfff); remove it or send both halves`
		float     = `the number is beyond the range of a 64-bit float; send a smaller one or a string`
	)
	long := strings.Repeat("k", 100)
	tests := []struct{ in, want string }{
		{``, `syntax: params (byte 0): the text ends within a value; send the whole value`},
		{`[]`, `envelope: params (byte 0): params is not an object; send an object`},
		{`[`, `syntax: params[0] (byte 1): the text ends within a value; send the whole value`},
		{`{"name":"a"`, `syntax: params.name (byte 11): the text ends within a value; send the whole value`},
		{`{"name":"a"}1`, `syntax: params (byte 12): text follows the value; send exactly one value`},
		{`{"arguments":{"a":[1,{"b":tru}]}}`, `syntax: params.arguments.a[1].b (byte 26): unknown word; only true, false and null stand without quotes`},
		{`{"_meta":{"a":[}}}`, `syntax: params._meta.a[0] (byte 15): a value is missing here; put a JSON value`},

		{`{"name":"a","name":"b"}`, `duplicate-key: params.name (byte 12): ` + twice},
		{`{"x":1,"\u0078":2}`, `duplicate-key: params.x (byte 7): ` + twice},
		{`{"arguments":{"a":1,"b":[0,{"c":1,"d":{},"c":2}]}}`, `duplicate-key: params.arguments.b[1].c (byte 41): ` + twice},
		{`{"_meta":{"progressToken":1,"progressToken":2}}`, `duplicate-key: params._meta.progressToken (byte 28): ` + twice},
		{`{"_meta":{"x":{"y":1,"y":2}}}`, `duplicate-key: params._meta.x.y (byte 21): ` + twice},
		{`{"_meta":{},"_m\u0065ta":{}}`, `duplicate-key: params._meta (byte 12): ` + twice},
		{`{"arguments":{"\ud800":1,"\udbff":2}}`, `duplicate-key: params.arguments["\ufffd"] (byte 25): ` + twice},
		{`{"arguments":{"a b":1,"a\u0020b":2}}`, `duplicate-key: params.arguments["a b"] (byte 22): ` + twice},
		{`{"arguments":{"` + long + `":1,"` + long + `":2}}`, `duplicate-key: params.arguments["` + long[:61] + `\u2026"] (byte 119): ` + twice},

		{`{"Name":"a"}`, `case-variant-key: params.Name (byte 1): the key equals "name" but for its case; spell it so or drop it`},
		{`{"name":"a","nAme":"b"}`, `case-variant-key: params.nAme (byte 12): the key equals "name" but for its case; spell it so or drop it`},
		{`{"argument` + "\u017f" + `":{}}`, `case-variant-key: params["argument\u017f"] (byte 1): the key equals "arguments" but for its case; spell it so or drop it`},
		{`{"ta\u017f\u212aId":1}`, `case-variant-key: params["ta\u017f\u212aId"] (byte 1): the key equals "taskId" but for its case; spell it so or drop it`},
		{`{"_META":{}}`, `case-variant-key: params._META (byte 1): the key equals "_meta" but for its case; spell it so or drop it`},
		{`{"_meta":{"ProgressToken":1}}`, `case-variant-key: params._meta.ProgressToken (byte 10): the key equals "progressToken" but for its case; spell it so or drop it`},
		{`{"_meta":{"io.modelcontextprotocol/protocolversion":1}}`, `case-variant-key: params._meta["io.modelcontextprotocol/protocolversion"] (byte 10): the key equals "io.modelcontextprotocol/protocolVersion" but for its case; spell it so or drop it`},
		{`{"_meta":{"IO.modelcontextprotocol/logLevel":1}}`, `case-variant-key: params._meta["IO.modelcontextprotocol/logLevel"] (byte 10): the key equals "io.modelcontextprotocol/logLevel" but for its case; spell it so or drop it`},
		{`{"ref":{"URI":1}}`, `case-variant-key: params.ref.URI (byte 8): the key equals "uri" but for its case; spell it so or drop it`},

		{`{"arguments":{"a":"` + "x\xff" + `"}}`, `invalid-utf8: params.arguments.a (byte 20): ` + utf8},
		{`{"arguments":{"b` + "\xed\xa0\x80" + `":1}}`, `invalid-utf8: params.arguments["b\xed\xa0\x80"] (byte 16): ` + utf8},
		{`{"b` + "\xc3" + `":1}`, `invalid-utf8: params["b\xc3"] (byte 3): ` + utf8},
		{`{"name":"` + "\xf4\x90\x80\x80" + `"}`, `invalid-utf8: params.name (byte 9): ` + utf8},

		{`{"name":"a\u0000"}`, `forbidden-character: params.name (byte 8): ` + nul},
		{`{"uri":"\ud800"}`, `forbidden-character: params.uri (byte 7): ` + surrogate},
		{`{"cursor":"\udfff\ud800"}`, `forbidden-character: params.cursor (byte 10): ` + surrogate},
		{`{"taskId":"\ud800\u0041"}`, `forbidden-character: params.taskId (byte 10): ` + surrogate},
		{`{"requestState":"\u0000"}`, `forbidden-character: params.requestState (byte 16): ` + nul},
		{`{"requestId":"\u0000"}`, `forbidden-character: params.requestId (byte 13): ` + nul},
		{`{"progressToken":"\u0000"}`, `forbidden-character: params.progressToken (byte 17): ` + nul},
		{`{"_meta":{"progressToken":"\u0000"}}`, `forbidden-character: params._meta.progressToken (byte 26): ` + nul},
		{`{"ref":{"type":"ref/prompt","name":"\ud800x"}}`, `forbidden-character: params.ref.name (byte 35): ` + surrogate},
		{`{"ref":{"uri":"\u0000"}}`, `forbidden-character: params.ref.uri (byte 14): ` + nul},

		{`{"requestId":1e400}`, `number-out-of-range: params.requestId (byte 13): ` + float},
		{`{"_meta":{"progressToken":-1E+309}}`, `number-out-of-range: params._meta.progressToken (byte 26): ` + float},

		{`{"arguments":{"a":{"b":{"c":[[]]}}}}`, `depth: params.arguments.a.b.c[0] (byte 29): nested deeper than the limit of 5 levels; flatten the value`},
		{`{"_meta":{"a":{"b":{"c":{"d":[]}}}}}`, `depth: params._meta.a.b.c.d (byte 29): nested deeper than the limit of 5 levels; flatten the value`},
	}
	for _, tt := range tests {
		err := CheckParams([]byte(tt.in), 5)
		var f *Fault
		if !errors.As(err, &f) {
			t.Errorf("CheckParams(%s): got %v, want a *Fault", tt.in, err)
			continue
		}
		if err.Error() != tt.want {
			t.Errorf("CheckParams(%s):\n got %s\nwant %s", tt.in, err, tt.want)
		}
	}
}

// Every spelling of a known key with one letter changed is refused where the
// key is known, and every known key passes as it is.
func TestKnownKeysFold(t *testing.T) {
	t.Parallel()
	places := []struct {
		format string
		keys   []string
	}{
		{`{%q:1}`, []string{"name", "arguments", "uri", "cursor", "ref", "argument", "context", "level", "_meta",
			"progressToken", "requestId", "reason", "protocolVersion", "capabilities", "clientInfo", "task", "taskId",
			"taskIds", "inputResponses", "requestState", "notifications", "progress", "total", "message", "messages",
			"mode", "requestedSchema", "url", "elicitationId"}},
		{`{"_meta":{%q:1}}`, []string{"progressToken", "io.modelcontextprotocol/protocolVersion",
			"io.modelcontextprotocol/clientInfo", "io.modelcontextprotocol/clientCapabilities",
			"io.modelcontextprotocol/logLevel", "io.modelcontextprotocol/subscriptionId",
			"io.modelcontextprotocol/related-task", "io.modelcontextprotocol/serverInfo"}},
		{`{"ref":{%q:1}}`, []string{"type", "name", "uri"}},
	}
	for _, p := range places {
		for _, key := range p.keys {
			if err := CheckParams(fmt.Appendf(nil, p.format, key), 5); err != nil {
				t.Errorf("%s: %v", key, err)
			}
			for i, c := range key {
				variants := []string{strings.ToUpper(string(c)), strings.ToLower(string(c))}
				switch c | 0x20 {
				case 's':
					variants = append(variants, "\u017f")
				case 'k':
					variants = append(variants, "\u212a")
				}
				for _, v := range variants {
					other := key[:i] + v + key[i+1:]
					if other == key {
						continue
					}
					err := CheckParams(fmt.Appendf(nil, p.format, other), 5)
					var f *Fault
					if !errors.As(err, &f) || f.Rule != RuleCase || !strings.Contains(f.Detail, `"`+key+`"`) {
						t.Errorf("%s: got %v, want a case fault that names %s", other, err, key)
					}
				}
			}
		}
	}
}

// Objects with more keys than are compared one by one, at several depths,
// with the repeated key in every position that matters.
func TestDuplicateAmongMany(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, fewKeys - 1, fewKeys, fewKeys + 1, 100} {
		for _, again := range []int{0, 1, n / 2, n - 1} {
			var b strings.Builder
			b.WriteString(`{"arguments":{"list":[{"k0":0},{`)
			for i := range n {
				fmt.Fprintf(&b, `"k%d":{"k0":%d},`, i, i)
			}
			at := b.Len()
			fmt.Fprintf(&b, `"\u006b%d":0}]}}`, again)
			err := CheckParams([]byte(b.String()), 10)
			var f *Fault
			if again >= n {
				if err != nil {
					t.Errorf("%d keys: %v", n, err)
				}
				continue
			}
			if !errors.As(err, &f) || f.Rule != RuleDuplicate || f.Offset != at || f.Path != fmt.Sprintf("params.arguments.list[1].k%d", again) {
				t.Errorf("%d keys and k%d again: got %v, want a duplicate at %d", n, again, err, at)
			}
		}
	}
}

// The first of several repeated keys is reported, however they sort.
func TestFirstDuplicateIsReported(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`{`)
	for i := range 40 {
		fmt.Fprintf(&b, `"k%d":0,`, i)
	}
	at := b.Len()
	b.WriteString(`"k39":0`)
	for i := range 39 {
		fmt.Fprintf(&b, `,"k%d":0`, i)
	}
	b.WriteString(`}`)
	var f *Fault
	if err := CheckParams([]byte(b.String()), 5); !errors.As(err, &f) || f.Offset != at {
		t.Errorf("got %v, want the duplicate at %d", err, at)
	}
}

func TestCheckParamsAllocatesNothing(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"name":"x","_meta":{"progressToken":1},"arguments":{`)
	for i := range 16 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"key%d":{"a":[1,{"b":"text"}]}`, i)
	}
	b.WriteString(`}}`)
	in := []byte(b.String())
	if n := testing.AllocsPerRun(100, func() {
		if err := CheckParams(in, 200); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for objects of 16 keys, want none", n)
	}
}

// Inputs made to be slow take time in proportion to their length. The bound
// is loose: it tells linear from quadratic, not fast from slow.
func TestTimeIsLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("compares times")
	}
	distinct := func(n int) string {
		var b strings.Builder
		b.WriteString(`{"arguments":{"0":0`)
		for i := 1; i < n; i++ {
			fmt.Fprintf(&b, `,"%x":0`, i)
		}
		return b.String() + "}}"
	}
	escaped := func(n int) string {
		var b strings.Builder
		b.WriteString(`{"arguments":{"0":0`)
		for i := 1; i < n; i++ {
			fmt.Fprintf(&b, `,"\u006b%x":0`, i)
		}
		return b.String() + "}}"
	}
	prefix := func(n int) string {
		var b strings.Builder
		p := strings.Repeat("p", 200)
		b.WriteString(`{"arguments":{"0":0`)
		for i := 1; i < n/20; i++ {
			fmt.Fprintf(&b, `,"%s%08x":0`, p, i)
		}
		return b.String() + "}}"
	}
	objects := func(n int) string {
		return `{"arguments":[` + strings.Repeat(`{"a":{"b":{"c":1}}},`, n/4) + `0]}`
	}
	backslashes := func(n int) string { return `{"a":"` + strings.Repeat(`\\`, 4*n) + `"}` }
	nested := func(n int) string {
		return `{"a":` + strings.Repeat(`[`, n) + strings.Repeat(`]`, n) + `}`
	}
	for name, shape := range map[string]func(int) string{
		"distinct keys": distinct, "escaped keys": escaped, "long prefixes": prefix,
		"small objects": objects, "backslashes": backslashes, "nesting": nested,
	} {
		measure := func(n int) time.Duration {
			in := []byte(shape(n))
			best := time.Hour
			for range 3 {
				start := time.Now()
				if err := CheckParams(in, 1<<30); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				best = min(best, time.Since(start))
			}
			return best
		}
		small, large := measure(10_000), measure(160_000)
		// Linear is 16 times, quadratic 256.
		if large > 100*small && large > 100*time.Millisecond {
			t.Errorf("%s: 16 times the input took %v after %v", name, large, small)
		}
		t.Logf("%s: %v, %v", name, small, large)
	}
}
