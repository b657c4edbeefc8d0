package scan

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
)

func TestSmoke(t *testing.T) {
	s, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	in := `{"password":"Hunter2!xyz"}`
	j, _ := json.Marshal(in)
	b64 := base64.StdEncoding.EncodeToString([]byte(in))
	for _, doc := range []string{
		in,
		`{"content":[{"type":"text","text":` + string(j) + `}]}`,
		`{"content":[{"type":"text","text":"` + b64 + `"}]}`,
		`{"a":"postgres://bob:S3cretPw9@db.internal:5432/x"}`,
		`{"env":[{"name":"DB_PASSWORD","value":"Xk29fjWq1!"}]}`,
		`curl -H "Authorization: Bearer abcd1234EFGH5678ijkl9012MNOP" https://x`,
		`{"content":[{"type":"text","text":"postgres://bob:S3cr"},{"type":"text","text":"etPw9@db.internal:5432/x"}]}`,
		`{"pw":"line\npassword=Xk29fjWq1!\n"}`,
		`DB_PASSWORD=Xk29,fjWq1!`,
		`q=%7B%22password%22%3A%22Hunter2!xyz%22%7D`,
	} {
		fs := s.Scan(nil, []byte(doc))
		fmt.Println(doc)
		for _, f := range fs {
			fmt.Printf("   %s %s [%s] via=%q\n", f.Rule, f.Path, doc[f.Start:f.End], f.Via)
		}
		fmt.Println("  ", string(s.Redact([]byte(doc), fs)))
	}
}
