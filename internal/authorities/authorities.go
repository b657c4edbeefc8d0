// Package authorities knows where systems and images keep the authorities of
// TLS that they trust, and how programs are told of others: the drivers that
// confine show a server a file of those with the authority of its proxy added.
package authorities

import (
	"bytes"
	"encoding/pem"
	"io"
)

// Inside is where the drivers show that file: in the one folder that neither
// an image nor a mount can have.
const Inside = "/dev/gatehouse-ca.pem"

// MaxFile bounds a file of authorities, in bytes.
const MaxFile = 2 << 20

// Files are where systems keep their authorities, in one file.
func Files() []string {
	return []string{
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
	}
}

// Variables name such a file to programs that do not read the system's:
// OpenSSL and Go, Node.js, Python's requests and pip, curl, git, the tools of
// AWS, Deno, Cargo.
func Variables() []string {
	return []string{
		"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE",
		"GIT_SSL_CAINFO", "AWS_CA_BUNDLE", "DENO_CERT", "CARGO_HTTP_CAINFO",
	}
}

// Certificates reads the certificates of a file, without what stands between
// them, up to MaxFile bytes.
func Certificates(r io.Reader) ([]byte, error) {
	rest, err := io.ReadAll(io.LimitReader(r, MaxFile))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			return out.Bytes(), nil
		}
		if b.Type == "CERTIFICATE" {
			if err := pem.Encode(&out, &pem.Block{Type: b.Type, Bytes: b.Bytes}); err != nil {
				return nil, err
			}
		}
	}
}
