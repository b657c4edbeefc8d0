package rawjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// callOf returns a tools/call whose arguments bring it to about n bytes.
func callOf(n int) []byte {
	var a strings.Builder
	for i := 0; a.Len() < n-350; i++ {
		if i > 0 {
			a.WriteByte(',')
		}
		fmt.Fprintf(&a, `"field%d":{"path":"/srv/data/report-%d.txt","lines":[%d,%d],"deep":true}`, i, i, i, i*7)
	}
	return []byte(`{"jsonrpc":"2.0","id":12345,"method":"tools/call","params":{"name":"files__read","arguments":{` + a.String() +
		`},"_meta":{"progressToken":"p-77","io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1.0"},"io.modelcontextprotocol/clientCapabilities":{}}}}`)
}

// textCall is a call of about 1 KB that is mostly one plain string.
func textCall() []byte {
	return []byte(`{"jsonrpc":"2.0","id":12345,"method":"tools/call","params":{"name":"files__write","arguments":{"path":"/srv/x","text":"` +
		strings.Repeat("The quick brown fox jumps. ", 29) + `"},"_meta":{"progressToken":"p-77","io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`)
}

func reply(result string) []byte {
	return []byte(`{"jsonrpc":"2.0","id":12345,"result":` + result + `}`)
}

func textReply(n int) []byte {
	return reply(`{"content":[{"type":"text","text":"` + strings.Repeat("The quick brown fox jumps. ", n/27) + `"}]}`)
}

func highReply(n int) []byte {
	return reply(`{"content":[{"type":"text","text":"` + strings.Repeat("Zwölf Boxkämpfer, 漢字かな交じり文。", n/46) + `"}]}`)
}

func objectReply(n int) []byte {
	var a strings.Builder
	for i := 0; a.Len() < n; i++ {
		if i > 0 {
			a.WriteByte(',')
		}
		fmt.Fprintf(&a, `{"id":%d,"name":"item-%d","tags":["a","b"],"price":%d.5,"ok":true}`, i, i, i)
	}
	return reply(`{"structuredContent":{"items":[` + a.String() + `]}}`)
}

func escapedReply(n int) []byte {
	inner := objectReply(n * 3 / 4)
	return reply(`{"content":[{"type":"text","text":` + string(Quote(string(inner))) + `}]}`)
}

func benchmarkMessages() []struct {
	name string
	b    []byte
} {
	return []struct {
		name string
		b    []byte
	}{
		{"call1K", callOf(1024)},
		{"textcall1K", textCall()},
		{"text64K", textReply(64 << 10)},
		{"high64K", highReply(64 << 10)},
		{"escaped64K", escapedReply(64 << 10)},
		{"objects64K", objectReply(64 << 10)},
	}
}

func BenchmarkSplit(b *testing.B) {
	for _, m := range benchmarkMessages() {
		b.Run(m.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(m.b)))
			for b.Loop() {
				if _, err := Split(m.b, 200); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStandardValid is the yardstick: the same texts through
// encoding/json, which only validates.
func BenchmarkStandardValid(b *testing.B) {
	for _, m := range benchmarkMessages() {
		b.Run(m.name, func(b *testing.B) {
			b.SetBytes(int64(len(m.b)))
			for b.Loop() {
				if !json.Valid(m.b) {
					b.Fatal("not valid")
				}
			}
		})
	}
}

func BenchmarkCheckParams(b *testing.B) {
	for _, m := range []struct {
		name string
		b    []byte
	}{
		{"call1K", callOf(1024)},
		{"textcall1K", textCall()},
		{"call64K", callOf(64 << 10)},
	} {
		env, err := Split(m.b, 200)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(m.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(env.Params)))
			for b.Loop() {
				if err := CheckParams(env.Params, 200); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	env, _ := Split(callOf(1024), 200)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := Get(env.Params, "_meta", "progressToken"); !ok {
			b.Fatal("absent")
		}
	}
}

func BenchmarkGetAbsent(b *testing.B) {
	for _, m := range benchmarkMessages()[2:] {
		env, _ := Split(m.b, 200)
		b.Run(m.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(env.Result)))
			for b.Loop() {
				if _, ok := Get(env.Result, "resultType"); ok {
					b.Fatal("present")
				}
			}
		})
	}
}

func BenchmarkApply(b *testing.B) {
	env, _ := Split(callOf(1024), 200)
	edits := []Edit{
		{Path: []string{"name"}, Value: []byte(`"read"`)},
		{Path: []string{"_meta", "progressToken"}, Value: []byte(`"g-1"`)},
		{Path: []string{"requestState"}},
	}
	b.ReportAllocs()
	for b.Loop() {
		if out := Apply(env.Params, edits...); len(out) == len(env.Params) {
			b.Fatal("unchanged")
		}
	}
}

func BenchmarkAppendString(b *testing.B) {
	s := strings.Repeat("The quick brown fox jumps. ", 40)
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		dst = AppendString(dst[:0], s)
	}
}

func BenchmarkCompact(b *testing.B) {
	var indented bytes.Buffer
	_ = json.Indent(&indented, objectReply(64<<10), "", "  ")
	b.SetBytes(int64(indented.Len()))
	b.ReportAllocs()
	for b.Loop() {
		Compact(indented.Bytes())
	}
}

func BenchmarkCanonical(b *testing.B) {
	v := objectReply(64 << 10)
	b.SetBytes(int64(len(v)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Canonical(v); err != nil {
			b.Fatal(err)
		}
	}
}
