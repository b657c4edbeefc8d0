package scan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

func issueList(size int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"items":[`)
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"number":%d,"title":"Fix the parser when key is missing","state":"open","html_url":"https://github.com/acme/widget/issues/%d","user":{"login":"octo%d","id":%d,"avatar_url":"https://avatars.githubusercontent.com/u/%d?v=4","type":"User","site_admin":false},"labels":[{"name":"bug","color":"d73a4a"}],"author_association":"CONTRIBUTOR","created_at":"2026-01-%02dT10:00:00Z","body":"When the author passes a token to the api the key is ignored. See the docs for the password policy."}`, 10000+i, i, i, i, i*7, i*7, i%28+1)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func BenchmarkScan(b *testing.B) {
	s, _ := New(nil)
	inner := issueList(16 << 10)
	q, _ := json.Marshal(string(inner))
	docs := map[string][]byte{"1K": issueList(1 << 10), "16K": issueList(16 << 10), "256K": issueList(256 << 10), "payload16K": []byte(`{"content":[{"type":"text","text":` + string(q) + `}]}`)}
	if f := os.Getenv("JS"); f != "" {
		docs["js"], _ = os.ReadFile(f)
	}
	if f := os.Getenv("GO"); f != "" {
		docs["go"], _ = os.ReadFile(f)
	}
	docs["prose"] = []byte(strings.Repeat("Lorem the quick brown fox jumps over the lazy dog and tells a story of the token and the key to the city. ", 200))
	for _, n := range []string{"1K", "16K", "256K", "payload16K", "js", "go", "prose"} {
		doc := docs[n]
		if doc == nil {
			continue
		}
		b.Run(n, func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			var fs []Finding
			for b.Loop() {
				fs = s.Scan(fs[:0], doc)
			}
			for i, f := range fs {
				if i < 5 {
					b.Logf("%s %s %.60s", f.Rule, f.Path, doc[f.Start:f.End])
				}
			}
		})
	}
}
