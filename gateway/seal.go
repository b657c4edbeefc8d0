package gateway

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// errHandle is the one answer to a handle that is forged, foreign or expired:
// nothing tells which.
var errHandle = errors.New("unknown or expired")

// handleKind separates the handles: one kind is never taken for another.
type handleKind string

const (
	kindSession handleKind = "session"
	kindState   handleKind = "state"
	kindCursor  handleKind = "cursor"
	kindTask    handleKind = "task"
)

// sealer makes and opens handles: what the gateway gives to clients and gets
// back later. A handle is sealed with AES-256-GCM and bound to its kind and
// to the principal it was made for. Keys are derived once.
type sealer struct {
	keys []sealKey // the first seals, all open
}

type sealKey struct {
	aead cipher.AEAD
	iv   []byte // key of the synthetic nonce
}

func newSealer(keys []secrets.Secret) (*sealer, error) {
	s := &sealer{}
	if len(keys) == 0 {
		var k [32]byte
		if _, err := rand.Read(k[:]); err != nil {
			return nil, err
		}
		keys = []secrets.Secret{secrets.NewSecret(string(k[:]))}
	}
	for i, k := range keys {
		raw := []byte(k.Reveal())
		if len(raw) < 32 {
			return nil, fmt.Errorf("sealing key %d has %d bytes: at least 32 are needed", i+1, len(raw))
		}
		enc, err := hkdf.Key(sha256.New, raw, nil, "gatehouse handle seal v1", 32)
		if err != nil {
			return nil, err
		}
		iv, err := hkdf.Key(sha256.New, raw, nil, "gatehouse handle nonce v1", 32)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(enc)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, sealKey{aead, iv})
	}
	return s, nil
}

// seal makes a handle of data. The nonce is a keyed hash of all that goes in,
// so that equal data gives an equal handle (a task id must not change from
// message to message) and a nonce never serves two different texts.
func (s *sealer) seal(kind handleKind, principal string, data []byte) string {
	k := s.keys[0]
	aad := handleAAD(kind, principal)
	mac := hmac.New(sha256.New, k.iv)
	mac.Write(aad)
	mac.Write(data)
	nonce := mac.Sum(nil)[:k.aead.NonceSize()]
	out := make([]byte, 0, len(nonce)+len(data)+k.aead.Overhead())
	out = append(out, nonce...)
	out = k.aead.Seal(out, nonce, data, aad)
	return base64.RawURLEncoding.EncodeToString(out)
}

// open returns the data of a handle made by seal for the same kind and
// principal.
func (s *sealer) open(kind handleKind, principal, handle string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.DecodeString(handle)
	if err != nil {
		return nil, errHandle
	}
	aad := handleAAD(kind, principal)
	for _, k := range s.keys {
		n := k.aead.NonceSize()
		if len(raw) < n+k.aead.Overhead() {
			return nil, errHandle
		}
		if data, err := k.aead.Open(nil, raw[:n], raw[n:], aad); err == nil {
			return data, nil
		}
	}
	return nil, errHandle
}

func handleAAD(kind handleKind, principal string) []byte {
	aad := make([]byte, 0, len(kind)+1+len(principal))
	aad = append(aad, kind...)
	aad = append(aad, 0)
	return append(aad, principal...)
}

// randomID returns 16 random bytes as text.
func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(b[:])
}
