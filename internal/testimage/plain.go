//go:build e2e && linux

package testimage

import (
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// plain is a layer that is not compressed, which would take longer than all
// else.
type plain struct {
	file string
	hash v1.Hash
	size int64
}

func plainLayer(file string) (v1.Layer, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h, n, err := v1.SHA256(f)
	return plain{file, h, n}, err
}

func (p plain) Digest() (v1.Hash, error)             { return p.hash, nil }
func (p plain) DiffID() (v1.Hash, error)             { return p.hash, nil }
func (p plain) Compressed() (io.ReadCloser, error)   { return os.Open(p.file) }
func (p plain) Uncompressed() (io.ReadCloser, error) { return os.Open(p.file) }
func (p plain) Size() (int64, error)                 { return p.size, nil }
func (p plain) MediaType() (types.MediaType, error)  { return types.OCIUncompressedLayer, nil }
