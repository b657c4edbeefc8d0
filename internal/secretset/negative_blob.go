package secretset

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// blobNegatives are long runs of nothing that anybody can read.
func blobNegatives() []category {
	f := fmt.Sprintf
	b64 := base64.StdEncoding.EncodeToString
	png := func(r random) string {
		return b64(append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), r.bytes(r.between(300, 1500))...))
	}
	return []category{
		data("image", func(r random) string {
			return f(`{"type":"image","mimeType":"image/png","data":"%s"}`, png(r))
		}),
		text("data url", func(r random) string {
			return f("<img alt=\"%s\" src=\"data:image/png;base64,%s\">", r.service(), png(r))
		}),
		text("font", func(r random) string {
			return f("@font-face{font-family:Keys;src:url(data:font/woff2;base64,%s) format('woff2')}", b64(append([]byte("wOF2"), r.bytes(r.between(400, 1500))...)))
		}),
		data("file in base64", func(r random) string {
			body := f("# %s\n\nSet your password with `%sctl passwd`. The API key is read from the environment.\n\n", r.service(), r.service())
			return f(`{"name":"README.md","encoding":"base64","content":"%s","sha":"%s"}`, quote(toBase64Lines(strings.Repeat(body, r.between(1, 5)))), r.hex(40))
		}),
		data("archive", func(r random) string {
			return f(`{"file":"%s.gz","blob":"%s"}`, r.service(), b64(append([]byte{0x1f, 0x8b, 8, 0}, r.bytes(r.between(200, 900))...)))
		}),
		text("source map", func(r random) string {
			var out bytes.Buffer
			for range r.between(60, 200) {
				out.WriteString(r.expand("[A-Zaeg]{4}") + pick(r, ",", ";", ""))
			}
			return f(`{"version":3,"sources":["token.ts"],"names":["password","key"],"mappings":"%s"}`, out.String())
		}),
		data("embedding", func(r random) string {
			var out []string
			for range r.between(40, 120) {
				out = append(out, strconv.FormatFloat(r.Float64()*2-1, 'f', 16, 64))
			}
			return f(`{"model":"embed","tokens":%d,"embedding":[%s]}`, r.between(3, 90), strings.Join(out, ","))
		}),
		text("protein and dna", func(r random) string {
			return f(">seq%d\n%s\n%s", r.between(1, 99), r.expand("[ACDEFGHIKLMNPQRSTVWY]{60}"), r.expand("[ACGT]{120}"))
		}),
		text("hex dump", func(r random) string {
			var out strings.Builder
			for i := range r.between(3, 8) {
				fmt.Fprintf(&out, "%08x  %s  |................|\n", i*16, r.expand("[0-9a-f]{2} [0-9a-f]{2} [0-9a-f]{2} [0-9a-f]{2} [0-9a-f]{2} [0-9a-f]{2} [0-9a-f]{2} [0-9a-f]{2}"))
			}
			return out.String()
		}),
		text("encoded links", func(r random) string {
			return f("https://login.%s/?return=%s&sig_alg=none&v=%s", r.domain(), percent("https://"+r.domain()+"/view?id="+r.uuid()+"&tab=api-keys"), toBase64URL(f(`{"page":%d,"sort":"key"}`, r.between(1, 99))))
		}),
		data("issues", func(r random) string {
			var out []string
			for i := range r.between(2, 5) {
				out = append(out, issue(r, i))
			}
			return `{"issues":[` + strings.Join(out, ",") + `]}`
		}),
	}
}

// settingNegatives are settings whose names sound like secrets.
func settingNegatives() []category {
	f := fmt.Sprintf
	return []category{
		data("numbers and flags", func(r random) string {
			return f(`{"max_tokens":%d,"token_count":%d,"prompt_tokens":%d,"passwordRequired":true,"has_secret":false,"token":null,"password":"","api_key_enabled":true,"tokens":[%d,%d,%d]}`, r.between(256, 8192), r.between(1, 9e5), r.between(1, 9e5), r.between(1, 5e4), r.between(1, 5e4), r.between(1, 5e4))
		}),
		data("keys of stores", func(r random) string {
			return f(`{"primaryKey":"%s_id","partitionKey":"tenant#%s","sortKey":"%s","key":"PROJ-%d","foreign_key":"%s.id","objectKey":"uploads/%s/%s.csv","keyPrefix":"%s:"}`, r.service(), r.service(), r.time(), r.between(1, 9999), r.database(), r.date(), r.service(), r.service())
		}),
		data("names", func(r random) string {
			return f(`{"tokenizer":"cl100k_base","keyboard":"de-nodeadkeys","keywords":["auth","secret sharing"],"author":"%s","passwordPolicy":"strong","tokenEndpointAuthMethod":"client_secret_basic","secretStore":"%s-vault","keyAlgorithm":"RSA-2048","monkey":"%s"}`, r.person(), r.service(), r.service())
		}),
		text("settings in yaml", func(r random) string {
			return f("auth:\n  token_ttl: %dm\n  password_min_length: %d\n  secret_rotation: weekly\n  key_type: ecdsa-p256\n  token_header: X-Auth-Token\n  api_key_prefix: %s_\n  passphrase_prompt: true\n", r.between(5, 90), r.between(8, 20), r.service())
		}),
		text("compose without secrets", func(r random) string {
			return f("services:\n  db:\n    image: postgres@sha256:%s\n    environment:\n      POSTGRES_USER: %s\n      POSTGRES_DB: %s\n      POSTGRES_PASSWORD_FILE: /run/secrets/pw\n    secrets: [pw]\n", r.hex(64), r.user(), r.database())
		}),
		text("feature log", func(r random) string {
			return f("%s INFO auth: token refreshed user=%s method=api_key key_id=%s latency=%dms\n%s WARN auth: password expired user=%s", r.time(), r.user(), r.expand("[0-9a-f]{8}"), r.between(1, 900), r.time(), r.user())
		}),
		data("model usage", func(r random) string {
			return f(`{"id":"chatcmpl-%s","model":"gpt-4o-2024-11-20","system_fingerprint":"fp_%s","usage":{"input_tokens":%d,"cache_read_input_tokens":%d},"tool_call_id":"call_%s"}`, r.expand("[A-Za-z0-9]{29}"), r.hex(10), r.between(1, 9e4), r.between(1, 9e4), r.expand("[A-Za-z0-9]{24}"))
		}),
		data("tool ids", func(r random) string {
			return f(`{"id":"msg_01%s","tool_use_id":"toolu_01%s","container_id":"container_01%s","request_id":"req_01%s"}`, r.expand("[A-Za-z0-9]{22}"), r.expand("[A-Za-z0-9]{22}"), r.expand("[A-Za-z0-9]{22}"), r.expand("[A-Za-z0-9]{22}"))
		}),
	}
}
