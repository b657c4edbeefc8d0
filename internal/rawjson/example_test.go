package rawjson_test

import (
	"fmt"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

func ExampleSplit() {
	env, err := rawjson.Split([]byte(`{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/call","params":{"name":"read"},"trace":"t1"}`), 200)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("id %s\nmethod %s\nparams %s\nextra %s\n", env.ID, env.Method, env.Params, env.Extra)

	_, err = rawjson.Split([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call"}`), 200)
	fmt.Println(err)
	// Output:
	// id 9007199254740993
	// method "tools/call"
	// params {"name":"read"}
	// extra "trace":"t1"
	// case-variant-key: Method (byte 46): the key equals "method" but for its case; spell it so or drop it
}

func ExampleCheckParams() {
	err := rawjson.CheckParams([]byte(`{"name":"read","arguments":{"files":["a",{"path":"b","path":"c"}]}}`), 200)
	fmt.Println(err)
	// Output:
	// duplicate-key: params.arguments.files[1].path (byte 53): the key stands twice in its object; send it once
}

func ExampleSet() {
	params := []byte(`{ "name": "files__read", "arguments": {"n": 1.50} }`)
	params = rawjson.Set(params, rawjson.Quote("read"), "name")
	params = rawjson.Set(params, []byte(`7`), "_meta", "progressToken")
	fmt.Println(string(params))
	// Output:
	// { "name": "read", "arguments": {"n": 1.50},"_meta":{"progressToken":7} }
}

func ExampleApply() {
	out := rawjson.Apply([]byte(`{"name":"files__read","cursor":"c1","requestState":"sealed"}`),
		rawjson.Edit{Path: []string{"name"}, Value: rawjson.Quote("read")},
		rawjson.Edit{Path: []string{"requestState"}},
	)
	fmt.Println(string(out))
	// Output:
	// {"name":"read","cursor":"c1"}
}

func ExampleEach() {
	rawjson.Each([]byte(`{"a":1,"\u0062":[true, null]}`), func(key, value []byte) bool {
		fmt.Printf("%s is %s (%v), is it b: %v\n", key, value, rawjson.KindOf(value), rawjson.KeyIs(key, "b"))
		return true
	})
	// Output:
	// "a" is 1 (number), is it b: false
	// "\u0062" is [true, null] (array), is it b: true
}

func ExampleCanonical() {
	for _, tool := range []string{`{"name":"a", "inputSchema":{"type":"object"}}`, `{"inputSchema":{"type":"\u006fbject"},"name":"a"}`} {
		c, err := rawjson.Canonical([]byte(tool))
		fmt.Println(string(c), err)
	}
	// Output:
	// {"inputSchema":{"type":"object"},"name":"a"} <nil>
	// {"inputSchema":{"type":"object"},"name":"a"} <nil>
}

func ExampleCompact() {
	fmt.Println(string(rawjson.Compact([]byte("{\n  \"text\": \"a b\",\n  \"n\": 1.50\n}"))))
	// Output:
	// {"text":"a b","n":1.50}
}
