package scan

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

func newScanner(t testing.TB, o *Options) *Scanner {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// describe writes findings as rule, path, what stands at the span, via.
func describe(doc string, fs []Finding) string {
	var l []string
	for _, f := range fs {
		l = append(l, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", f.Rule, f.Path, doc[f.Start:f.End], f.Via)))
	}
	return strings.Join(l, "; ")
}

const (
	pass  = "Tr4il-mix!92"
	inner = `{"password":"` + pass + `"}`
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// TestLayers looks for one password in the layers that a message may wrap it
// in. Whatever the layers, the finding names a place in the message as it
// came, and redaction leaves valid JSON without it.
func TestLayers(t *testing.T) {
	t.Parallel()
	once := quote(inner)
	wide := make([]byte, 0, 128)
	for _, c := range utf16.Encode([]rune("$password = '" + pass + "'")) {
		wide = append(wide, byte(c), byte(c>>8))
	}
	mime := b64(strings.Repeat("nothing to see here\n", 2) + "password: " + pass + "\n")
	for _, c := range []struct{ name, doc, want string }{
		{"plain", `{"a":` + inner + `}`, "password $.a.password " + pass},
		{"in a list", `[1,{"passwords":["x"],"password":["` + pass + `"]}]`, "password $[1].password[0] " + pass},
		{"odd key", `{"odd key":{"it's":` + inner + `}}`, `password $['odd key']['it\'s'].password ` + pass},
		{"escaped value", `{"password":"Tr4il\u002dmix!92"}`, `password $.password Tr4il\u002dmix!92`},
		{"escaped quote", `{"password":"Tr4il\"mix!92"}`, `password $.password Tr4il\"mix!92`},
		{"escaped key", `{"pass\u0077ord":"` + pass + `"}`, `password $.password ` + pass},
		{"json in a string", `{"text":` + once + `}`, "password $.text " + pass},
		{"json in json", `{"text":` + quote(`{"t":`+once+`}`) + `}`, "password $.text " + pass + " json"},
		{"twice", `{"text":` + quote(`{"t":`+quote(`{"u":`+once+`}`)+`}`) + `}`, "password $.text " + pass + " json json"},
		{"base64", `{"text":"see ` + b64(inner) + `."}`, "password $.text " + b64(inner) + " base64"},
		{"base64 with a prefix", `{"text":"abc` + b64(inner) + `."}`, "password $.text abc" + b64(inner) + " base64"},
		{"base64url in a URL", `{"u":"https://x.test/?d=` + base64.RawURLEncoding.EncodeToString([]byte(inner+"??>>")) + `&e=1"}`, "password $.u " + base64.RawURLEncoding.EncodeToString([]byte(inner+"??>>")) + " base64"},
		{"base64 in lines", `{"text":"` + mime[:76] + `\r\n` + mime[76:] + `"}`, "password $.text " + mime[:76] + `\r\n` + mime[76:] + " base64"},
		{"base64 of UTF-16", `{"cmd":"powershell -enc ` + b64(string(wide)) + `"}`, "password $.cmd " + b64(string(wide)) + " base64"},
		{"hex", `{"text":"` + hex.EncodeToString([]byte(inner)) + `"}`, "password $.text " + hex.EncodeToString([]byte(inner)) + " hex"},
		{"percent", `{"text":"q=` + url.QueryEscape(inner) + ` x"}`, "password $.text q=" + url.QueryEscape(inner) + " percent"},
		{"base64 of json with base64", `{"text":"` + b64(`{"data":"`+b64(inner)+`"}`) + `"}`, "password $.text " + b64(`{"data":"`+b64(inner)+`"}`) + " base64 base64"},
		{"escapes in text", `say {\"password\":\"` + pass + `\"} twice`, "password  " + pass},
		{"unicode escapes in text", `{"log":"body=\\u0070\\u0061\\u0073\\u0073\\u0077\\u006f\\u0072\\u0064=` + pass + `"}`, "password $.log " + pass + " json"},
		{"text", "x\nDB_PASSWORD=" + pass + "\n", "password  " + pass},
		{"name and value", `{"env":[{"name":"DB_PASSWORD","value":"` + pass + `"}]}`, "password $.env[0].value " + pass},
		{"value and name", `{"env":[{"value":"` + pass + `","name":"DB_PASSWORD"}]}`, "password $.env[0].value " + pass},
		{"attribute", `<add key="DbPassword" value="` + pass + `"/>`, "password  " + pass},
		{"typed", `const password: string = "` + pass + `"`, "password  " + pass},
		{"numbered", `DB_PASSWORD_2=` + pass, "password  " + pass},
		{"across blocks", `{"content":[{"type":"text","text":"the password: Tr4il"},{"type":"text","text":"-mix!92\nok"}]}`, "password $.content[0].text Tr4il; password $.content[1].text -mix!92"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newScanner(t, nil)
			found := s.Scan(nil, []byte(c.doc))
			if got := describe(c.doc, found); got != c.want {
				t.Errorf("in %s\n got %s\nwant %s", c.doc, got, c.want)
			}
			clean := s.Redact([]byte(c.doc), found)
			if json.Valid([]byte(c.doc)) && !json.Valid(clean) {
				t.Errorf("redaction broke the message: %s", clean)
			}
			if again := s.Scan(nil, clean); len(again) > 0 {
				t.Errorf("redacted: %s\nholds %s", clean, describe(string(clean), again))
			}
		})
	}
}

func TestRedactKeepsTheRest(t *testing.T) {
	t.Parallel()
	s := newScanner(t, nil)
	doc := `{"n":1.50,"text":"a \u00e9 {\"password\":\"` + pass + `\",\"x\":\"\\u00e9\"}","password":"` + pass + `"}`
	want := `{"n":1.50,"text":"a \u00e9 {\"password\":\"[redacted:password]\",\"x\":\"\\u00e9\"}","password":"[redacted:password]"}`
	if got := string(s.Redact([]byte(doc), s.Scan(nil, []byte(doc)))); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	s.Learn(secrets.NewSecret("4815162342"))
	if got := string(s.Redact([]byte("4815162342"), s.Scan(nil, []byte("4815162342")))); got != `"[redacted:known-secret]"` {
		t.Errorf("a number alone has become %s", got)
	}
	doc = `{"pin":4815162342,"list":[-1,4815162342]}`
	want = `{"pin":"[redacted:known-secret]","list":[-1,"[redacted:known-secret]"]}`
	if got := string(s.Redact([]byte(doc), s.Scan(nil, []byte(doc)))); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// TestLearnedValues: what the scanner was told of is found whatever it looks
// like and however it is encoded, also as a part of more.
func TestLearnedValues(t *testing.T) {
	t.Parallel()
	value := "correct horse/battery+staple"
	s := newScanner(t, nil)
	s.Learn(secrets.NewSecret(value))
	docs := []string{
		`{"a":"x ` + value + ` y"}`, `{"a":"correct horse\/battery+staple"}`, `{"` + value + `":1}`, "text " + value,
		hex.EncodeToString([]byte("\x00" + value)), strings.ToUpper(hex.EncodeToString([]byte("\x01\x02" + value))),
		url.QueryEscape(value), url.PathEscape(value), strings.ToLower(url.QueryEscape(value)), percentAll(value, true),
		`{"text":` + quote(`{"t":`+quote(value)+`}`) + `}`,
	}
	for n := range 4 { // of random bytes, so that it does not decode to text
		junk := string([]byte{0, 255, 7, 9}[:n])
		docs = append(docs, base64.StdEncoding.EncodeToString([]byte(junk+value+junk)), base64.RawURLEncoding.EncodeToString([]byte(junk+value+"\xff\xfe")))
	}
	for _, doc := range docs {
		found := s.Scan(nil, []byte(doc))
		if len(found) != 1 || found[0].Rule != KnownSecret {
			t.Errorf("in %s: %s", doc, describe(doc, found))
		}
	}
	if found := s.Scan(nil, []byte(`{"a":"correct horse battery staple"}`)); len(found) > 0 {
		t.Errorf("another value was taken for it: %v", found)
	}
}

// TestWeakValues: a short or simple value is found as a whole leaf under the
// key it was given with, and nowhere else.
func TestWeakValues(t *testing.T) {
	t.Parallel()
	s := newScanner(t, nil)
	s.Learn(secrets.NewSecret("admin"), "GRAFANA_PASSWORD")
	s.Learn(secrets.NewSecret("4711"), "PIN")
	for doc, want := range map[string]string{
		`{"role":"admin","note":"admin"}`:             "",
		`{"grafana_password":"admin"}`:                "known-secret $.grafana_password admin",
		`{"grafanaPassword": "admin"}`:                "known-secret $.grafanaPassword admin",
		`{"grafana_password":"administrator"}`:        "",
		`{"old_grafana_password":"admin"}`:            "",
		`{"pin":4711}`:                                "known-secret $.pin 4711",
		`{"pin":47112}`:                               "",
		`{"port":4711}`:                               "",
		`{"text":"{\"GRAFANA_PASSWORD\":\"admin\"}"}`: "known-secret $.text admin",
		"GRAFANA_PASSWORD=admin\n":                    "known-secret  admin",
	} {
		if got := describe(doc, s.Scan(nil, []byte(doc))); got != want {
			t.Errorf("%s: got %q, want %q", doc, got, want)
		}
	}
	for v, want := range map[string]bool{"admin": true, "aaaaaaaaaaaa": true, "12345678": true, "password": true, "f3c9a1e07b": false, "correct horse": false} {
		if Weak(v) != want {
			t.Errorf("Weak(%q) is %v", v, !want)
		}
	}
}

func TestSettingsAndAllow(t *testing.T) {
	t.Parallel()
	doc := `{"a":{"password":"` + pass + `"},"b":"postgres://svc:` + pass + `@db.internal/x"}`
	sum := "3c" + strings.Repeat("0", 62)
	for _, c := range []struct {
		name string
		o    Options
		tool string
		want string
	}{
		{"as it is", Options{}, "", "password,url-password"},
		{"off", Options{Settings: map[string]Action{"password": Off}}, "", "url-password"},
		{"by rule", Options{Allow: []Allow{{Rule: "url-*"}}}, "", "password"},
		{"by path", Options{Allow: []Allow{{Path: "$.a.*"}}}, "", "url-password"},
		{"by tool", Options{Allow: []Allow{{Tool: "get_*"}}}, "get_env", ""},
		{"of another tool", Options{Allow: []Allow{{Tool: "get_*"}}}, "set_env", "password,url-password"},
		{"by rule and path", Options{Allow: []Allow{{Rule: "password", Path: "$.b"}}}, "", "password,url-password"},
		{"by value", Options{Allow: []Allow{{SHA256: sha(pass)}}}, "", ""},
		{"by another value", Options{Allow: []Allow{{SHA256: sum}}}, "", "password,url-password"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var ids []string
			for _, f := range newScanner(t, &c.o).ScanTool(nil, []byte(doc), c.tool) {
				ids = append(ids, f.Rule)
			}
			if got := strings.Join(ids, ","); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	found := newScanner(t, &Options{Settings: map[string]Action{"password": Report}}).Scan(nil, []byte(doc))
	if found[0].Action != Report || found[1].Action != ActionDefault {
		t.Errorf("actions are %v and %v", found[0].Action, found[1].Action)
	}
	if found[0].Fingerprint != found[1].Fingerprint {
		t.Error("one secret has two fingerprints")
	}
	if other := newScanner(t, nil).Scan(nil, []byte(doc)); other[0].Fingerprint == found[0].Fingerprint {
		t.Error("two scanners with random keys have one fingerprint")
	}
}

func TestOptionsThatAreWrong(t *testing.T) {
	t.Parallel()
	_, err := New(&Options{Settings: map[string]Action{"pasword": Off}, Allow: []Allow{{}, {SHA256: "abc"}, {Rule: "[x"}}, MaxDepth: 99})
	want := `scan.Options: Settings: there is no rule "pasword"
scan.Options: Allow[0]: it is empty, and would allow everything
scan.Options: Allow[1]: SHA256 is no hash: it is 64 hex digits, as sha256sum prints them
scan.Options: Allow[2]: "[x" is no pattern: syntax error in pattern
scan.Options: MaxDepth is 99: it is 10 at most`
	if fmt.Sprint(err) != want {
		t.Errorf("got %v", err)
	}
}

// TestStream compares a scan of a stream with one of the whole, with secrets
// around the borders of its parts.
func TestStream(t *testing.T) {
	t.Parallel()
	s := newScanner(t, nil)
	var text bytes.Buffer
	var want []int
	for text.Len() < 400<<10 {
		text.WriteString(strings.Repeat("nothing to see here, move along\n", 1+text.Len()%97))
		text.WriteString("password: ")
		want = append(want, text.Len())
		text.WriteString(pass + "\n")
	}
	var got []int
	err := s.ScanReader(iotest.HalfReader(bytes.NewReader(text.Bytes())), func(f Finding) error {
		if text.String()[f.Start:f.End] != pass {
			t.Errorf("at %d: %q", f.Start, text.String()[f.Start:f.End])
		}
		got = append(got, f.Start)
		return nil
	})
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v\n got %v\nwant %v", err, got, want)
	}
	if err := s.ScanReader(iotest.ErrReader(iotest.ErrTimeout), nil); err != iotest.ErrTimeout {
		t.Errorf("the reader's error is %v", err)
	}
}

func TestConcurrentScans(t *testing.T) {
	t.Parallel()
	s := newScanner(t, nil)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 50 {
				value := fmt.Sprintf("k%dZ%dq-value-%d", n, i, n*i)
				s.Learn(secrets.NewSecret(value))
				doc := `{"text":"it is ` + value + `"}`
				if found := s.Scan(nil, []byte(doc)); len(found) != 1 {
					t.Errorf("%s: %s", doc, describe(doc, found))
				}
			}
		})
	}
	wg.Wait()
}

// TestCleanMessagesCostNoMemory has one worker scan: a pool of them drops some
// under the race detector.
func TestCleanMessagesCostNoMemory(t *testing.T) {
	s := newScanner(t, nil)
	s.Learn(secrets.NewSecret("correct horse battery staple"))
	w := newWorker(s)
	q := quote(string(issueList(8 << 10)))
	for _, doc := range [][]byte{issueList(1 << 10), issueList(16 << 10), []byte(`{"content":[{"type":"text","text":` + q + `}]}`)} {
		found := 0
		if n := testing.AllocsPerRun(20, func() {
			w.document(doc, likeJSON(doc))
			found += len(w.found)
			w.reset()
		}); n > 0 || found > 0 {
			t.Errorf("%v allocations, found %d", n, found)
		}
	}
}

func TestReadRules(t *testing.T) {
	t.Parallel()
	rules, err := ReadRules(strings.NewReader(`
title = "a file for gitleaks"
[allowlist]
paths = ["vendor/"]
regexes = ["(?i)for-tests"]

[[rules]]
id = "acme-token"
description = "ACME token"
regex = '''\b(acme_[a-z0-9]{16})\b'''
keywords = ["ACME_"]
[rules.allowlist]
stopwords = ["sample"]

[[rules]]
id = "acme-line"
regex = '''acme-key=([a-z0-9]{12})'''
[[rules.allowlists]]
regexTarget = "line"
regexes = ["# not real"]

[[rules]]
id = "acme-name"
keys = ["acmesecret"]
severity = "low"

[[rules]]
id = "files"
path = '''\.pem$'''
`))
	if err != nil {
		t.Fatal(err)
	}
	s := newScanner(t, &Options{Rules: rules})
	for doc, want := range map[string]string{
		"x ACME_ab12cd34ef56gh78":                                 "",
		"x acme_ab12cd34ef56gh78":                                 "acme-token  acme_ab12cd34ef56gh78",
		"x acme_sample34ef56gh78":                                 "",
		"acme-key=ab12cd34ef56":                                   "acme-line  ab12cd34ef56",
		"acme-key=ab12cd34ef56 # not real\nacme-key=zb12cd34ef56": "acme-line  zb12cd34ef56",
		`{"acme_secret":"anything at all"}`:                       "acme-name $.acme_secret anything at all",
		`{"acme_secret":"only for-tests"}`:                        "",
	} {
		if got := describe(doc, s.Scan(nil, []byte(doc))); got != want {
			t.Errorf("%s: got %q, want %q", doc, got, want)
		}
	}
}

func TestRulesThatAreWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[[rules]]\nregex = 'a'":                                                        "rules: rule 1 (): id is missing: every rule needs one",
		"[[rules]]\nid = 'a'":                                                           "rules: rule 1 (a): it has neither regex nor keys: it could find nothing",
		"[[rules]]\nid = 'a'\nkeys = ['x']\ncheck = 'nope'":                             `rules: rule 1 (a): there is no check "nope": the checks are `,
		"[[rules]]\nid = 'a'\nkeys = ['x']\nseverity = 'huge'":                          `severity "huge" is none of low, medium and high`,
		"[[rules]]\nid = ":                                                              "rules: line 2: ",
		"[[rules]]\nid = 'known-secret'\nkeys = ['x']":                                  `id "known-secret" cannot be used`,
		"[[rules]]\nid = 'a'\nregex = 'x'\nkeywords = ['q']":                            `keyword "q" is too short`,
		"[[rules]]\nid = 'a'\nkeys = ['x']\n[[rules.allowlists]]\nregexTarget = 'file'": `regexTarget is "file": it is secret, match or line`,
	} {
		if _, err := ReadRules(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", text, err, want)
		}
	}
	for want, r := range map[string]Rule{
		"scan.Options: Rules: rule a: regex: error parsing regexp: missing closing ): `(x`":                                                                    {ID: "a", Regex: "(x", Keywords: []string{"xx"}},
		"scan.Options: Rules: rule a: it has no keywords, and its regex holds no text that could serve as one: without a keyword it would be tried everywhere": {ID: "a", Regex: "[a-z]{32}"},
		"scan.Options: Rules: rule a: secretGroup is 3, and the regex has 1 groups":                                                                            {ID: "a", Regex: "token=(x+)", SecretGroup: 3},
	} {
		if _, err := New(&Options{Rules: []Rule{r}}); fmt.Sprint(err) != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
	if _, err := New(&Options{Rules: append(Default(), Default()[0])}); err == nil || !strings.Contains(err.Error(), "another rule has this id") {
		t.Errorf("two rules with one id: %v", err)
	}
}

func sha(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestAllBuiltInRulesCompile(t *testing.T) {
	t.Parallel()
	for _, r := range builtInSet().rules {
		if err := r.prepare(); err != nil {
			t.Errorf("%s: %v", r.ID, err)
		}
		if r.shape.size > 2<<10 {
			t.Logf("%s reaches %d bytes far", r.ID, r.shape.size)
		}
	}
}
