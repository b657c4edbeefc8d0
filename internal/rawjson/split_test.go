package rawjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     Envelope
	}{
		{"request", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}`,
			Envelope{ID: raw(`1`), Method: raw(`"tools/call"`), Params: raw(`{"name":"a"}`)}},
		{"notification", `{"method":"notifications/initialized","jsonrpc":"2.0"}`,
			Envelope{Method: raw(`"notifications/initialized"`)}},
		{"response", `{"jsonrpc":"2.0","id":"a\u0062","result":{"x":[1,2.50,{}]}}`,
			Envelope{ID: raw(`"a\u0062"`), Result: raw(`{"x":[1,2.50,{}]}`)}},
		{"error", `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}`,
			Envelope{ID: raw(`null`), Error: raw(`{"code":-32700,"message":"no"}`)}},
		{"white space", " \n{ \"jsonrpc\" :\t\"2.0\" , \"id\" : 1.0 ,\r\n\"result\" : [ 1 , 2 ] } \n",
			Envelope{ID: raw(`1.0`), Result: raw(`[ 1 , 2 ]`)}},
		{"one extra member", `{"jsonrpc":"2.0","id":1, "trace" : [1],"result":0}`,
			Envelope{ID: raw(`1`), Result: raw(`0`), Extra: raw(`"trace" : [1]`)}},
		{"extra members", `{"a":1, "jsonrpc":"2.0","id":1,"b": {"c":2} ,"result":0,"c":"x"}`,
			Envelope{ID: raw(`1`), Result: raw(`0`), Extra: raw(`"a":1,"b": {"c":2},"c":"x"`)}},
		{"escaped keys", `{"js\u006fnrpc":"2\u002e0","\u0069d":7,"m\u0065thod":"x"}`,
			Envelope{ID: raw(`7`), Method: raw(`"x"`)}},
		{"large id", `{"jsonrpc":"2.0","id":12345678901234567890,"result":0}`,
			Envelope{ID: raw(`12345678901234567890`), Result: raw(`0`)}},
		{"body passes unread", `{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":"\ud800\u0000","n":1e999,"r":"` + "\xff" + `"}}`,
			Envelope{ID: raw(`1`), Result: raw(`{"a":1,"a":"\ud800\u0000","n":1e999,"r":"` + "\xff" + `"}`)}},
		{"id that underflows", `{"jsonrpc":"2.0","id":1e-999,"result":0}`, Envelope{ID: raw(`1e-999`), Result: raw(`0`)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Split([]byte(tt.in), 10)
			if err != nil {
				t.Fatal(err)
			}
			if g, w := show(got), show(tt.want); g != w {
				t.Errorf("Split:\n got %s\nwant %s", g, w)
			}
		})
	}
}

func raw(s string) json.RawMessage { return json.RawMessage(s) }

func show(e Envelope) string {
	var parts []string
	for _, p := range []struct {
		name string
		v    json.RawMessage
	}{{"id", e.ID}, {"method", e.Method}, {"params", e.Params}, {"result", e.Result}, {"error", e.Error}, {"extra", e.Extra}} {
		if p.v != nil {
			parts = append(parts, p.name+"="+string(p.v))
		}
	}
	return strings.Join(parts, " ")
}

func TestSplitRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, want string
		id             string // the id that is still known
	}{
		// Syntax.
		{"empty", ``, `syntax: the top level (byte 0): the text ends within a value; send the whole value`, ``},
		{"word", `hello`, `syntax: the top level (byte 0): a value is missing here; put a JSON value`, ``},
		{"cut", `{"jsonrpc":"2.0","id":5,"method":"a`, `syntax: method (byte 35): the text ends within a value; send the whole value`, `5`},
		{"cut after key", `{"jsonrpc"`, `syntax: jsonrpc (byte 10): the text ends within a value; send the whole value`, ``},
		{"two values", `{"jsonrpc":"2.0","id":5,"method":"a"} {}`, `syntax: the top level (byte 38): text follows the value; send exactly one value`, `5`},
		{"comma at the end", `{"jsonrpc":"2.0","id":5,}`, `syntax: the top level (byte 24): a key in double quotes is missing here`, `5`},
		{"no colon", `{"jsonrpc" "2.0"}`, `syntax: jsonrpc (byte 11): a colon is missing after the key`, ``},
		{"no comma", `{"jsonrpc":"2.0" "id":5}`, `syntax: jsonrpc (byte 17): a comma or } is missing after the member`, ``},
		{"no comma in a list", `{"jsonrpc":"2.0","id":5,"result":[1 2]}`, `syntax: result[0] (byte 36): a comma or ] is missing after the element`, `5`},
		{"control character", "{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{\"a\":[0,\"x\ny\"]}}", `syntax: result.a[1] (byte 43): a control character stands in a string; escape it (\u00XX)`, `5`},
		{"escape", `{"jsonrpc":"2.0","id":5,"result":"\x"}`, `syntax: result (byte 34): a malformed escape stands in a string; use one of \" \\ \/ \b \f \n \r \t \uXXXX`, `5`},
		{"short escape", `{"jsonrpc":"2.0","id":5,"result":"\u12"}`, `syntax: result (byte 34): a malformed escape stands in a string; use one of \" \\ \/ \b \f \n \r \t \uXXXX`, `5`},
		{"number", `{"jsonrpc":"2.0","id":5,"result":[-]}`, `syntax: result[0] (byte 35): malformed number; write it as JSON has it (no leading zero or plus, digits on both sides of the point)`, `5`},
		{"leading zero", `{"jsonrpc":"2.0","id":05}`, `syntax: id (byte 23): a comma or } is missing after the member`, ``},
		{"cut number", `{"jsonrpc":"2.0","id":12`, `syntax: id (byte 24): the text ends within a value; send the whole value`, ``},
		{"word in a value", `{"jsonrpc":"2.0","id":5,"result":nul}`, `syntax: result (byte 33): unknown word; only true, false and null stand without quotes`, `5`},
		{"byte order mark", "\xef\xbb\xbf{}", `syntax: the top level (byte 0): a value is missing here; put a JSON value`, ``},

		// Envelope.
		{"array", `[{"jsonrpc":"2.0","id":1,"method":"a"}]`, `envelope: the top level (byte 0): the message is not an object; send one JSON-RPC 2.0 object`, ``},
		{"string", ` "x"`, `envelope: the top level (byte 1): the message is not an object; send one JSON-RPC 2.0 object`, ``},
		{"no version", `{"id":5,"method":"a"}`, `envelope: jsonrpc (byte 0): the member is missing; send "jsonrpc":"2.0"`, `5`},
		{"old version", `{"jsonrpc":"1.0","id":5,"method":"a"}`, `envelope: jsonrpc (byte 11): the value is not "2.0"; send "jsonrpc":"2.0"`, `5`},
		{"version as a number", `{"jsonrpc":2.0,"id":5,"method":"a"}`, `envelope: jsonrpc (byte 11): the value is not "2.0"; send "jsonrpc":"2.0"`, `5`},
		{"id is an object", `{"jsonrpc":"2.0","id":{},"method":"a"}`, `envelope: id (byte 22): the id is not a string, number or null; send one of these`, ``},
		{"id is a bool", `{"jsonrpc":"2.0","id":true,"method":"a"}`, `envelope: id (byte 22): the id is not a string, number or null; send one of these`, ``},
		{"method is a number", `{"jsonrpc":"2.0","method":1,"id":5}`, `envelope: method (byte 26): the method is not a string; send its name`, `5`},

		// Duplicates.
		{"id twice", `{"jsonrpc":"2.0","id":5,"method":"a","id":6}`, `duplicate-key: id (byte 37): the key stands twice in its object; send it once`, `5`},
		{"id twice, once escaped", `{"jsonrpc":"2.0","id":5,"method":"a","\u0069d":6}`, `duplicate-key: id (byte 37): the key stands twice in its object; send it once`, `5`},
		{"method twice", `{"jsonrpc":"2.0","method":"a","method":"a","id":5}`, `duplicate-key: method (byte 30): the key stands twice in its object; send it once`, `5`},
		{"unknown twice", `{"jsonrpc":"2.0","x":1,"id":5,"\u0078":2}`, `duplicate-key: x (byte 30): the key stands twice in its object; send it once`, `5`},

		// Case.
		{"Id", `{"jsonrpc":"2.0","Id":5,"method":"a"}`, `case-variant-key: Id (byte 17): the key equals "id" but for its case; spell it so or drop it`, ``},
		{"Method beside method", `{"jsonrpc":"2.0","id":5,"method":"a","METHOD":"b"}`, `case-variant-key: METHOD (byte 37): the key equals "method" but for its case; spell it so or drop it`, `5`},
		{"escaped Params", `{"jsonrpc":"2.0","id":5,"\u0050arams":{}}`, `case-variant-key: Params (byte 24): the key equals "params" but for its case; spell it so or drop it`, `5`},
		{"long s", `{"j` + "\u017f" + `onrpc":"2.0","id":5,"method":"a"}`, `case-variant-key: ["j\u017fonrpc"] (byte 1): the key equals "jsonrpc" but for its case; spell it so or drop it`, `5`},
		{"escaped long s", `{"jsonrpc":"2.0","id":5,"re\u017Fult":1}`, `case-variant-key: ["re\u017fult"] (byte 24): the key equals "result" but for its case; spell it so or drop it`, `5`},

		// Text.
		{"key is not UTF-8", `{"jsonrpc":"2.0","id":5,"a` + "\xff" + `":1}`, `invalid-utf8: ["a\xff"] (byte 24): bytes that are not UTF-8; encode the text as UTF-8`, `5`},
		{"lone surrogate in a key", `{"jsonrpc":"2.0","id":5,"\ud800":1}`, `forbidden-character: ["\ufffd"] (byte 24): the text holds half of a surrogate pair (\ud800 to \udfff); remove it or send both halves`, `5`},
		{"NUL in a key", `{"jsonrpc":"2.0","id":5,"id\u0000":1}`, `forbidden-character: ["id\x00"] (byte 24): the text holds a NUL (\u0000); remove it`, `5`},
		{"lone surrogate in the id", `{"jsonrpc":"2.0","id":"\udc00","method":"a"}`, `forbidden-character: id (byte 22): the text holds half of a surrogate pair (\ud800 to \udfff); remove it or send both halves`, ``},
		{"NUL in the id", `{"jsonrpc":"2.0","id":"\u0000","method":"a"}`, `forbidden-character: id (byte 22): the text holds a NUL (\u0000); remove it`, ``},
		{"id is not UTF-8", `{"jsonrpc":"2.0","id":"` + "\xc0\x80" + `","method":"a"}`, `invalid-utf8: id (byte 22): bytes that are not UTF-8; encode the text as UTF-8`, ``},
		{"NUL in the method", `{"jsonrpc":"2.0","id":5,"method":"tools/call\u0000"}`, `forbidden-character: method (byte 33): the text holds a NUL (\u0000); remove it`, `5`},
		{"reversed pair in the method", `{"jsonrpc":"2.0","id":5,"method":"\udc00\ud800"}`, `forbidden-character: method (byte 33): the text holds half of a surrogate pair (\ud800 to \udfff); remove it or send both halves`, `5`},
		{"extra is not UTF-8", `{"jsonrpc":"2.0","id":5,"x":["` + "a\xff" + `"]}`, `invalid-utf8: x[0] (byte 31): bytes that are not UTF-8; encode the text as UTF-8`, `5`},

		// Numbers and depth.
		{"id beyond float64", `{"jsonrpc":"2.0","id":1e309,"method":"a"}`, `number-out-of-range: id (byte 22): the number is beyond the range of a 64-bit float; send a smaller one or a string`, ``},
		{"long id beyond float64", `{"jsonrpc":"2.0","id":-1` + strings.Repeat("0", 400) + `,"method":"a"}`, `number-out-of-range: id (byte 22): the number is beyond the range of a 64-bit float; send a smaller one or a string`, ``},
		{"deep", `{"jsonrpc":"2.0","id":5,"result":[[[[[]]]]]}`, `depth: result[0][0][0][0] (byte 37): nested deeper than the limit of 5 levels; flatten the value`, `5`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Split([]byte(tt.in), 5)
			var f *Fault
			if !errors.As(err, &f) {
				t.Fatalf("Split: got %v, want a *Fault", err)
			}
			if err.Error() != tt.want {
				t.Errorf("Split:\n got %s\nwant %s", err, tt.want)
			}
			if string(got.ID) != tt.id {
				t.Errorf("id of the refused message: got %q, want %q", got.ID, tt.id)
			}
			got.ID = nil
			if s := show(got); s != "" {
				t.Errorf("a refused message kept %s", s)
			}
		})
	}
}

func TestSplitManyUnknownMembers(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`{"jsonrpc":"2.0","id":1,"result":{}`)
	for i := range 1000 {
		fmt.Fprintf(&b, `,"extra%d":%d`, i, i)
	}
	env, err := Split([]byte(b.String()+"}"), 5)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(env.Extra), "extra"); n != 1000 {
		t.Errorf("got %d extra members, want 1000", n)
	}
	_, err = Split([]byte(b.String()+`,"extra500":0}`), 5)
	if err == nil || !strings.HasPrefix(err.Error(), "duplicate-key: extra500 (byte ") {
		t.Errorf("got %v, want a duplicate of extra500", err)
	}
}

// A returned part must not grow into what stands behind it in the message.
func TestSplitPartsHaveNoRoom(t *testing.T) {
	t.Parallel()
	in := []byte(`{"jsonrpc":"2.0","id":1,"method":"a","params":{},"x":1}`)
	env, err := Split(in, 5)
	if err != nil {
		t.Fatal(err)
	}
	before := string(in)
	for _, p := range [][]byte{env.ID, env.Method, env.Params, env.Extra} {
		_ = append(p, "!!!!"...)
	}
	if string(in) != before {
		t.Errorf("appending to a part changed the message: %s", in)
	}
}

func TestDeepNesting(t *testing.T) {
	t.Parallel()
	for _, n := range []int{10_000, 1_000_000} {
		for _, ends := range [][2]string{{"[", "]"}, {`{"a":`, "}"}} {
			body := strings.Repeat(ends[0], n) + "1" + strings.Repeat(ends[1], n)
			msg := []byte(`{"jsonrpc":"2.0","id":1,"params":{"a":` + body + `}}`)
			_, err := Split(msg, 200)
			var f *Fault
			if !errors.As(err, &f) || f.Rule != RuleDepth {
				t.Errorf("%d times %s: got %v, want a depth fault", n, ends[0], err)
			}
			env, err := Split(msg, n+2)
			if err != nil {
				t.Fatalf("%d times %s within the limit: %v", n, ends[0], err)
			}
			if err := CheckParams(env.Params, n+1); err != nil {
				t.Errorf("%d times %s within the limit: %v", n, ends[0], err)
			}
			if err := CheckParams(env.Params, n); err == nil {
				t.Errorf("%d times %s: CheckParams took one level too many", n, ends[0])
			}
			if v, ok := Get(env.Params, "a"); !ok || len(v) != len(body) {
				t.Errorf("%d times %s: Get found %d bytes, want %d", n, ends[0], len(v), len(body))
			}
			if c, err := Canonical(env.Params); err != nil || string(c) != string(env.Params) {
				t.Errorf("%d times %s: Canonical: %v", n, ends[0], err)
			}
			if _, err := Split(msg[:len(msg)-2], n+2); err == nil {
				t.Errorf("%d times %s: took a cut message", n, ends[0])
			}
			if out := Set(env.Params, raw("2"), "b"); !strings.HasSuffix(string(out), `,"b":2}`) {
				t.Errorf("%d times %s: Set failed", n, ends[0])
			}
		}
	}
}
