package secretset

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strings"
)

// crcBase62 ends a token as GitHub and npm do: 30 random characters, then
// their CRC32 in six digits of base62.
func crcBase62(r random, prefix string) string {
	body := r.expand("[0-9A-Za-z]{30}")
	var sum [6]byte
	for i, n := len(sum)-1, crc32.ChecksumIEEE([]byte(body)); i >= 0; i-- {
		sum[i] = alnum[n%62]
		n /= 62
	}
	return prefix + body + string(sum[:])
}

// crcLittleHex ends a token as Grafana does: the CRC32 of all before it, its
// lowest byte first.
func crcLittleHex(r random, pattern string) string {
	body := r.expand(pattern)
	sum := binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body)))
	return body + "_" + hex.EncodeToString(sum)
}

// crcHex ends a token as Atlassian does: the CRC32 of all before it in
// capital hex.
func crcHex(r random, pattern string) string {
	body := r.expand(pattern)
	return fmt.Sprintf("%s%08X", body, crc32.ChecksumIEEE([]byte(body)))
}

// crcBase36 ends a token as routable tokens of GitLab do: version, length of
// the payload in base 36, CRC32 in seven digits of base 36.
func crcBase36(r random, prefix string) string {
	payload := base64.RawURLEncoding.EncodeToString(fmt.Appendf(r.bytes(16), "o:%d\nu:%d", r.between(1, 99), r.between(1000, 99999)))
	body := prefix + payload + ".01." + base36(uint32(len(payload)), 2)
	return body + base36(crc32.ChecksumIEEE([]byte(body)), 7)
}

func base36(n uint32, digits int) string {
	out := make([]byte, digits)
	for i := digits - 1; i >= 0; i-- {
		out[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[n%36]
		n /= 36
	}
	return string(out)
}

// bech32 is the encoding of age's keys (BIP 173), in capitals.
func bech32(r random, hrp string, size int) string {
	const digits = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	var data []byte // in groups of five bits
	acc, bits := 0, 0
	for _, b := range r.bytes(size) {
		acc, bits = acc<<8|int(b), bits+8
		for bits >= 5 {
			bits -= 5
			data = append(data, byte(acc>>bits&31))
		}
	}
	if bits > 0 {
		data = append(data, byte(acc<<(5-bits)&31))
	}
	values := make([]byte, 0, 2*len(hrp)+1+len(data)+6)
	for i := range len(hrp) {
		values = append(values, hrp[i]>>5)
	}
	values = append(values, 0)
	for i := range len(hrp) {
		values = append(values, hrp[i]&31)
	}
	values = append(append(values, data...), 0, 0, 0, 0, 0, 0)
	sum := uint32(1)
	for _, v := range values {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range []uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	sum ^= 1
	out := []byte(hrp + "1")
	for _, v := range data {
		out = append(out, digits[v])
	}
	for i := range 6 {
		out = append(out, digits[sum>>(5*(5-i))&31])
	}
	return strings.ToUpper(string(out))
}

// base64JSON is prefix and the base64 of a JSON document.
func base64JSON(prefix string, v any) string {
	doc, err := json.Marshal(v)
	if err != nil {
		panic("secretset: " + err.Error())
	}
	return prefix + base64.StdEncoding.EncodeToString(doc)
}

// signed is a JWT with a signature that is valid under key (RFC 7519).
func signed(key []byte, header, claims string) string {
	enc := base64.RawURLEncoding
	body := enc.EncodeToString([]byte(header)) + "." + enc.EncodeToString([]byte(claims))
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(body)) // never fails
	return body + "." + enc.EncodeToString(mac.Sum(nil))
}

// jwt is a session of somebody.
func jwt(r random) string {
	claims := fmt.Sprintf(`{"sub":"%s","iss":"https://auth.%s","scope":"%s","iat":%d,"exp":%d}`, r.uuid(), r.domain(),
		pick(r, "read write", "admin", "openid email"), 1767225600+r.IntN(1e7), 1777225600+r.IntN(1e7))
	return signed(r.bytes(32), pick(r, `{"alg":"HS256","typ":"JWT"}`, `{"typ":"JWT","alg":"HS256","kid":"`+r.hex(8)+`"}`), claims)
}
