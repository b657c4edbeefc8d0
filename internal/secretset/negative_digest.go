package secretset

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// digestNegatives are of content that anybody may have.
func digestNegatives() []category {
	f := fmt.Sprintf
	b64 := func(r random, n int) string { return base64.StdEncoding.EncodeToString(r.bytes(n)) }
	return []category{
		data("digest", func(r random) string {
			return f(`{"digest":"sha256:%s","sha1":"%s","md5":"%s","size":%d}`, r.hex(64), r.hex(40), r.hex(32), r.between(100, 1e7))
		}),
		text("checksums", func(r random) string {
			return f("%s  %s-%s.tar.gz\n%s  %s.zip\nMD5 (%s.iso) = %s", r.hex(64), r.service(), r.date(), r.hex(128), r.service(), r.service(), r.hex(32))
		}),
		data("package lock", func(r random) string {
			return f(`{"node_modules/%s":{"version":"%d.%d.0","resolved":"https://registry.yarnpkg.com/%[1]s/-/%[1]s-1.0.0.tgz","integrity":"sha512-%[4]s"},"node_modules/js-tokens":{"version":"4.0.0","integrity":"sha512-%[5]s"}}`, r.service(), r.between(1, 9), r.between(0, 20), b64(r, 64), b64(r, 64))
		}),
		text("go.sum", func(r random) string {
			var out strings.Builder
			for range r.between(2, 5) {
				m := pick(r, "github.com/golang-jwt/jwt/v5", "golang.org/x/crypto", "github.com/zalando/go-keyring", "github.com/google/go-tokenizer", "github.com/secure/passwords")
				fmt.Fprintf(&out, "%s v%d.%d.0 h1:%s\n%[1]s v%[2]d.%[3]d.0/go.mod h1:%[5]s\n", m, r.between(0, 5), r.between(0, 30), b64(r, 32), b64(r, 32))
			}
			return out.String()
		}),
		text("yarn lock", func(r random) string {
			return f("js-tokens@^4.0.0:\n  version \"4.0.0\"\n  resolved \"https://registry.yarnpkg.com/js-tokens/-/js-tokens-4.0.0.tgz#%s\"\n  integrity sha512-%s\n", r.hex(40), b64(r, 64))
		}),
		text("cargo lock", func(r random) string {
			return f("[[package]]\nname = \"secrecy\"\nversion = \"0.%d.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"%s\"\n", r.between(1, 9), r.hex(64))
		}),
		text("python hashes", func(r random) string {
			return f("keyring==24.%d.0 \\\n    --hash=sha256:%s \\\n    --hash=sha256:%s\npasslib==1.7.4 --hash=sha256:%s", r.between(0, 9), r.hex(64), r.hex(64), r.hex(64))
		}),
		text("git log", func(r random) string {
			return f("commit %s\nAuthor: %s <%s@%s>\nDate:   %s\n\n    Rotate token of %s\n\ncommit %s\nMerge: %s %s", r.hex(40), r.person(), r.user(), r.domain(), r.date(), r.service(), r.hex(40), r.hex(7), r.hex(7))
		}),
		data("commits", func(r random) string {
			return f(`{"sha":"%s","tree":{"sha":"%s"},"parents":[{"sha":"%s"}],"author":{"login":"%s"},"message":"Remove the api key from %s"}`, r.hex(40), r.hex(40), r.hex(40), r.user(), r.service())
		}),
		text("git diff", func(r random) string {
			return f("diff --git a/token.go b/token.go\nindex %s..%s 100644\n--- a/token.go\n+++ b/token.go\n@@ -1,3 +1,3 @@\n-func parseToken(s string) Token {\n+func ParseToken(s string) (Token, error) {\n", r.hex(40), r.hex(40))
		}),
		text("commit hashes in a log", func(r random) string {
			return f("%s [deploy] token service updated %s -> %s\n%s [deploy] key=%s/%s build=%s ok", r.time(), r.hex(40), r.hex(40), r.time(), r.service(), r.date(), r.hex(40))
		}),
		text("pinned actions", func(r random) string {
			return f("steps:\n- uses: actions/checkout@%s # v4\n- uses: actions/create-github-app-token@%s\n  with:\n    app-id: %d\n", r.hex(40), r.hex(40), r.between(1e5, 9e5))
		}),
		text("integrity attribute", func(r random) string {
			return f(`<script src="https://cdn.%s/auth.min.js" integrity="sha384-%s" crossorigin="anonymous" nonce="%s"></script>`, r.domain(), b64(r, 48), b64(r, 16))
		}),
		text("csp", func(r random) string {
			return f("Content-Security-Policy: script-src 'self' 'sha256-%s' 'nonce-%s'; object-src 'none'", b64(r, 32), b64(r, 18))
		}),
		text("etag", func(r random) string {
			return f("HTTP/1.1 200 OK\r\nETag: %s\"%s\"\r\nLast-Modified: %s\r\nX-Cache-Key: /v1/%s/%s\r\nVary: Authorization\r\n", pick(r, "", "W/"), pick(r, r.hex(32), r.hex(64), r.expand(`[\w-]{27}`)), r.date(), r.database(), r.hex(32))
		}),
		text("fingerprints", func(r random) string {
			return f("256 SHA256:%s %s@%s (ED25519)\nKey fingerprint = %s\nThe ECDSA key sent by %s has fingerprint SHA256:%s.", base64.RawStdEncoding.EncodeToString(r.bytes(32)), r.user(), r.domain(), r.expand("[0-9A-F]{4} [0-9A-F]{4} [0-9A-F]{4} [0-9A-F]{4} [0-9A-F]{4}  [0-9A-F]{4} [0-9A-F]{4} [0-9A-F]{4} [0-9A-F]{4} [0-9A-F]{4}"), r.host(), base64.RawStdEncoding.EncodeToString(r.bytes(32)))
		}),
		text("asset names", func(r random) string {
			return f("dist/assets/index-%s.js   142.31 kB\ndist/assets/password-input.%s.css   3.10 kB\ndist/fonts/token-%s.woff2", r.expand(`[\w-]{8}`), r.hex(20), r.hex(32))
		}),
		text("nix and bazel", func(r random) string {
			return f("fetchurl { url = \"https://%s/src.tar.gz\"; hash = \"sha256-%s\"; }\nhttp_archive(name = \"keychain\", sha256 = \"%s\")\n/nix/store/%s-openssl-3.0", r.domain(), b64(r, 32), r.hex(64), r.expand("[0-9a-df-np-sv-z]{32}"))
		}),
	}
}
