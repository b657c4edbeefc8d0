package secretset

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
)

// publicNegatives are the public halves: keys, certificates, tokens that are
// made to be seen.
func publicNegatives() []category {
	f := fmt.Sprintf
	b64 := func(r random, n int) string { return base64.StdEncoding.EncodeToString(r.bytes(n)) }
	armour := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	public := func(r random) string {
		der, err := x509.MarshalPKIXPublicKey(ed25519.NewKeyFromSeed(r.bytes(32)).Public())
		must(err)
		return armour("PUBLIC KEY", der)
	}
	return []category{
		text("public key", func(r random) string {
			return pick(r, public(r), armour("RSA PUBLIC KEY", sequence(r.bytes(270))), "The key for the webhook:\n"+public(r))
		}),
		text("certificate", func(r random) string { return armour("CERTIFICATE", sequence(r.bytes(r.between(400, 900)))) }),
		data("certificate in json", func(r random) string {
			return f(`{"certificate":"%s","caBundle":"%s","client-certificate-data":"%s"}`, quote(armour("CERTIFICATE", sequence(r.bytes(400)))), toBase64(armour("CERTIFICATE", sequence(r.bytes(300)))), toBase64(armour("CERTIFICATE", sequence(r.bytes(300)))))
		}),
		text("certificate request", func(r random) string { return armour("CERTIFICATE REQUEST", sequence(r.bytes(500))) }),
		text("ssh public key", func(r random) string {
			key := "\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + string(r.bytes(32))
			return pick(r,
				f("ssh-ed25519 %s %s@%s", toBase64(key), r.user(), r.domain()),
				f("%s ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ%s", r.host(), b64(r, 372)),
				f("command=\"/bin/true\",no-pty ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABB%s ci", b64(r, 66)))
		}),
		data("jwk set", func(r random) string {
			enc := base64.RawURLEncoding.EncodeToString
			return f(`{"keys":[{"kty":"RSA","use":"sig","kid":"%s","n":"%s","e":"AQAB"},{"kty":"EC","crv":"P-256","kid":"%s","x":"%s","y":"%s"}]}`, r.hex(20), enc(r.bytes(256)), r.uuid(), enc(r.bytes(32)), enc(r.bytes(32)))
		}),
		text("other public keys", func(r random) string {
			return pick(r,
				f("age recipient: %s", strings.ToLower(bech32(r, "age", 32))),
				f("[Peer]\nPublicKey = %s\nAllowedIPs = 10.8.0.0/24\n", b64(r, 32)),
				f("untrusted comment: minisign public key %s\nRW%s", r.expand("[0-9A-F]{16}"), b64(r, 40)),
				"-----BEGIN PGP PUBLIC "+"KEY BLOCK-----\n\n"+toBase64Lines(string(r.bytes(300)))+"\n-----END PGP PUBLIC "+"KEY BLOCK-----",
				f("NACL public key: %s", b64(r, 32)))
		}),
		text("signature", func(r random) string {
			return pick(r,
				"-----BEGIN PGP SIGNATURE-----\n\n"+toBase64Lines(string(r.bytes(200)))+"\n=abcd\n-----END PGP SIGNATURE-----",
				f("gpgsig -----BEGIN SSH SIGNATURE-----\n %s\n -----END SSH SIGNATURE-----", b64(r, 200)),
				f(`{"payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"SHA256:%s","sig":"%s"}]}`, b64(r, 32), b64(r, 72)))
		}),
		data("publishable keys", func(r random) string {
			return f(`{"stripe":"pk_%s_51%s","sentryDsn":"https://%s@o%d.ingest.sentry.io/%d","mapbox":"pk.%s.%s","recaptchaSiteKey":"6L%s"}`, pick(r, "live", "test"), r.expand("[A-Za-z0-9]{97}"), r.hex(32), r.between(1e5, 9e5), r.between(1e6, 9e6),
				base64.RawURLEncoding.EncodeToString([]byte(`{"u":"`+r.service()+`","a":"ck`+r.expand("[a-z0-9]{22}")+`"}`)), r.expand(`[\w-]{22}`), r.expand(`[\w-]{38}`))
		}),
		text("dns records", func(r random) string {
			return f("mail._domainkey.%s. TXT \"v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA%s\"\n%s. TXT \"google-site-verification=%s\"\n%s. DNSKEY 257 3 13 %s", r.domain(), b64(r, 220), r.domain(), r.expand(`[\w-]{43}`), r.domain(), b64(r, 64))
		}),
		text("sealed values", func(r random) string {
			return pick(r,
				f("db:\n    password: ENC[AES256_GCM,data:%s,iv:%s,tag:%s,type:str]\n", b64(r, 18), b64(r, 32), b64(r, 16)),
				f("apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nspec:\n  encryptedData:\n    password: Ag%s\n", b64(r, 180)),
				"$ANSIBLE_VAULT;1.1;AES256\n"+r.hex(80)+"\n"+r.hex(80)+"\n",
				"-----BEGIN AGE ENCRYPTED FILE-----\n"+toBase64Lines(string(r.bytes(200)))+"\n-----END AGE ENCRYPTED FILE-----")
		}),
		text("www-authenticate", func(r random) string {
			return pick(r,
				f("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"%s\"\r\n", r.service()),
				f("WWW-Authenticate: Bearer realm=\"https://auth.%s/token\",service=\"registry.%s\",scope=\"repository:%s:pull\"", r.domain(), r.domain(), r.service()),
				f("WWW-Authenticate: Bearer resource_metadata=\"https://%s/.well-known/oauth-protected-resource\", error=\"invalid_token\"", r.domain()))
		}),
		text("plain cookies", func(r random) string {
			return f("Set-Cookie: theme=dark; Path=/\r\nSet-Cookie: _ga=GA1.2.%s.%s; Domain=.%s\r\nSet-Cookie: locale=en-GB", r.expand("[0-9]{9}"), r.expand("[0-9]{10}"), r.domain())
		}),
	}
}
