package injecttest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// attack has a server say to the bound host what could have it get the secret.
func attack(t *testing.T, s *Service, i runtime.Instance, placeholder string) {
	auth := "Authorization: Bearer " + placeholder + "\r\n"
	request := func(line, more, body string) string {
		return line + " HTTP/1.1\r\nHost: " + Bound + "\r\nConnection: close\r\n" + more + "\r\n" + body
	}
	for name, tt := range map[string]struct {
		say  string
		want string // in the answer; {P} is the placeholder
	}{
		"header and trailers":     {request("GET /headers", auth+"TE: trailers\r\n", ""), "200 OK"},
		"zipped":                  {request("GET /zipped", auth+"Accept-Encoding: br\r\n", ""), "Bearer {P}"},
		"brotli":                  {request("GET /brotli", auth, ""), "502 Bad Gateway"},
		"brotli as gzip":          {request("GET /lie", auth, ""), ""},
		"an encoding of its own":  {request("GET /encoded", auth, ""), "502 Bad Gateway"},
		"two encodings":           {request("GET /encoded?gzip,", auth, ""), "502 Bad Gateway"},
		"a part":                  {request("GET /part", auth, ""), "502 Bad Gateway"},
		"a range":                 {request("GET /ranges", auth+"Range: bytes=3-\r\n", ""), "{P}"},
		"a redirect":              {request("GET /redirect", auth, ""), "Location: http://" + Other + "/?t=Bearer+{P}"},
		"a head":                  {request("HEAD /echo", auth, ""), "X-Echo: Bearer {P}"},
		"an early body":           {request("POST /mirror", auth+"Expect: 100-continue\r\nContent-Length: 2\r\n", "hi"), `"hi"`},
		"a body":                  {request("POST /mirror", fmt.Sprintf("Content-Length: %d\r\n", len(placeholder)), placeholder), `"{P}"`},
		"a trailer":               {request("POST /mirror", "Trailer: Authorization, X-End\r\nTransfer-Encoding: chunked\r\n", "1\r\nx\r\n0\r\nX-End: "+placeholder+"\r\n\r\n"), `"x"`},
		"an extension of a chunk": {request("POST /mirror", "Transfer-Encoding: chunked\r\n", "1;x="+placeholder+"\r\nx\r\n0\r\n\r\n"), `"x"`},
		"two lengths":             {request("POST /mirror", "Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), "400 Bad Request"},
		"a length and chunks":     {request("POST /mirror", auth+"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nGET /read HTTP/1.1\r\nHost: "+Other+"\r\n\r\n"), "HTTP/1.1"},
		"a length of another":     {request("POST /mirror", auth+"Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), "501 Not Implemented"},
		"a folded header":         {request("GET /mirror", "X-A: b\r\n Authorization: Bearer "+placeholder+"\r\n", ""), "HTTP/1.1"},
		"no method":               {request("GET x:echo", auth, ""), "HTTP/1.1"},
		"another host":            {"GET /echo HTTP/1.1\r\nHost: " + Other + "\r\nConnection: close\r\n" + auth + "\r\n", "421 Misdirected"},
		"another host in the URL": {request("GET https://"+Other+"/echo", auth, ""), "421 Misdirected"},
		"two hosts":               {request("GET /echo", "Host: "+Other+"\r\n"+auth, ""), "400 Bad Request"},
		"a tunnel":                {request("CONNECT "+Bound+":443", auth, ""), "405 Method Not Allowed"},
		"a WebSocket":             {request("GET /echo", "Connection: Upgrade\r\nUpgrade: websocket\r\n"+auth, ""), "403 Forbidden"},
		"HTTP/2 by an upgrade":    {request("GET /echo", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n"+auth, ""), "200 OK"},
		"HTTP/2 without saying":   {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""},
		"a hop of one":            {request("GET /mirror", "Connection: Authorization\r\n"+auth, ""), "200 OK"},
		"a header of a proxy":     {request("GET /mirror", "Proxy-Authorization: Bearer "+placeholder+"\r\n", ""), "200 OK"},
		"a name of another case":  {strings.Replace(request("GET /echo", auth, ""), Bound, strings.ToUpper(Bound)+".", 1), "200 OK"},
	} {
		var answer string
		if err := json.Unmarshal([]byte(ask(t, i, "probe/talk", Bound+":443\n"+tt.say)), &answer); err != nil {
			t.Fatal(err)
		}
		if want := strings.ReplaceAll(tt.want, "{P}", placeholder); !strings.Contains(answer, want) {
			t.Errorf("%s: answered %q, want %q", name, answer, want)
		}
		s.gaveNothing(t, name, answer)
		if name == "a length and chunks" && s.last() == "" {
			t.Errorf("%s: a request was smuggled", name)
		}
	}
	// Whoever follows the redirect has the placeholder.
	ask(t, i, "probe/fetch", "https://"+Bound+"/redirect Bearer "+placeholder)
	if got := s.last(); strings.Contains(got, s.secret) {
		t.Errorf("the other host got %q", got)
	}
}
