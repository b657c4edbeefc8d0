package secretset

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
)

// keyKinds are private keys. They are real ones of their kind, made from the
// seed; those of RSA have numbers of the right sizes that no primes stand
// behind, since making such takes seconds.
func keyKinds() []kind {
	k := func(id, key string, make func(r random) string) kind {
		return kind{id, Key, "", []string{key}, value(make)}
	}
	return []kind{
		k("pem-ed25519", "PRIVATE_KEY", func(r random) string { return block("PRIVATE KEY", pkcs8(ed25519.NewKeyFromSeed(r.bytes(32)))) }),
		k("pem-ec", "SIGNING_KEY_PEM", func(r random) string {
			der, err := x509.MarshalECPrivateKey(ec(r))
			must(err)
			return block("EC PRIVATE KEY", der)
		}),
		k("pem-pkcs8-ec", "TLS_KEY", func(r random) string { return block("PRIVATE KEY", pkcs8(ec(r))) }),
		k("pem-rsa", "RSA_PRIVATE_KEY", func(r random) string { return block("RSA PRIVATE KEY", rsa(r)) }),
		k("pem-encrypted", "ENCRYPTED_KEY", func(r random) string { return block("ENCRYPTED PRIVATE KEY", sequence(r.bytes(310))) }),
		k("openssh-ed25519", "SSH_PRIVATE_KEY", func(r random) string { return block("OPENSSH PRIVATE KEY", openssh(r)) }),
		k("pgp-private-key", "GPG_PRIVATE_KEY", func(r random) string {
			body := base64.StdEncoding.EncodeToString(append([]byte{0x95, 3, 0xbe, 4}, r.bytes(600)...))
			var out bytes.Buffer
			fmt.Fprint(&out, "-----BEGIN PGP PRIVATE "+"KEY BLOCK-----\n\n")
			for ; len(body) > 64; body = body[64:] {
				fmt.Fprintln(&out, body[:64])
			}
			fmt.Fprintf(&out, "%s\n=%s\n-----END PGP PRIVATE "+"KEY BLOCK-----\n", body, base64.StdEncoding.EncodeToString(r.bytes(3)))
			return out.String()
		}),
		{"jwk-ec", Key, "", []string{"JWK"}, func(r random) secret {
			enc := base64.RawURLEncoding.EncodeToString
			d := enc(r.bytes(32))
			return secret{d, fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":"%s","y":"%s","d":"%s","kid":"%s"}`, enc(r.bytes(32)), enc(r.bytes(32)), d, r.hex(8))}
		}},
		{"gcp-service-account", Key, "", []string{"GOOGLE_CREDENTIALS_JSON"}, func(r random) secret {
			key := block("PRIVATE KEY", pkcs8(ec(r)))
			doc, err := json.MarshalIndent(map[string]string{
				"type": "service_account", "project_id": r.service() + "-prod", "private_key_id": r.hex(40), "private_key": key,
				"client_email": r.service() + "@" + r.service() + "-prod.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token",
			}, "", "  ")
			must(err)
			return secret{key, string(doc)}
		}},
		{"putty-key", Key, "", []string{"PPK"}, func(r random) secret {
			v := base64.StdEncoding.EncodeToString(r.bytes(36))
			return secret{v, fmt.Sprintf("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: %s\nPublic-Lines: 2\n%s\n%s\nPrivate-Lines: 1\n%s\nPrivate-MAC: %s\n", r.user(),
				base64.StdEncoding.EncodeToString(r.bytes(48)), base64.StdEncoding.EncodeToString(r.bytes(15)), v, r.hex(64))}
		}},
		{"wireguard-key", Key, "", []string{"WG_CONF"}, func(r random) secret {
			v := base64.StdEncoding.EncodeToString(r.bytes(32))
			return secret{v, fmt.Sprintf("[Interface]\nAddress = 10.8.0.%d/24\nPrivateKey = %s\n\n[Peer]\nPublicKey = %s\nEndpoint = vpn.%s:51820\n", r.between(2, 250), v, base64.StdEncoding.EncodeToString(r.bytes(32)), r.domain())}
		}},
	}
}

func must(err error) {
	if err != nil {
		panic("secretset: " + err.Error())
	}
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8(key any) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	return der
}

// ec is a key of P-256.
func ec(r random) *ecdsa.PrivateKey {
	d := r.bytes(32)
	d[0] &= 0x7f // below the order of the curve
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
	must(err)
	return key
}

// rsa is PKCS#1 (RFC 8017, A.1.2) of a modulus of 2048 bits.
func rsa(r random) []byte {
	number := func(size int) []byte {
		b := r.bytes(size)
		b[0] |= 0x80
		return integer(new(big.Int).SetBytes(b))
	}
	der := integer(big.NewInt(0))
	for _, part := range [][]byte{number(256), integer(big.NewInt(65537)), number(256), number(128), number(128), number(128), number(128), number(128)} {
		der = append(der, part...)
	}
	return sequence(der)
}

func integer(n *big.Int) []byte {
	b := n.Bytes()
	if len(b) == 0 || b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return element(2, b)
}

func sequence(body []byte) []byte { return element(0x30, body) }

// element is an element of DER.
func element(tag byte, body []byte) []byte {
	switch n := len(body); {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, body...)
	case n < 0x100:
		return append([]byte{tag, 0x81, byte(n)}, body...)
	default:
		return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, body...)
	}
}

// openssh is the format of OpenSSH (PROTOCOL.key), unencrypted.
func openssh(r random) []byte {
	key := ed25519.NewKeyFromSeed(r.bytes(32))
	public := key.Public().(ed25519.PublicKey)
	text := func(out []byte, s string) []byte {
		return append(binary.BigEndian.AppendUint32(out, uint32(len(s))), s...)
	}
	pub := text(text(nil, "ssh-ed25519"), string(public))
	check := r.Uint32()
	private := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, check), check)
	private = append(private, pub...)
	private = text(text(private, string(key)), r.user()+"@"+r.domain())
	for i := byte(1); len(private)%8 != 0; i++ {
		private = append(private, i)
	}
	out := []byte("openssh-key-v1\x00")
	out = text(text(text(out, "none"), "none"), "")
	out = binary.BigEndian.AppendUint32(out, 1)
	return text(text(out, string(pub)), string(private))
}
