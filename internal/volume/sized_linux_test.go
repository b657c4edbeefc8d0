package volume

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// TestSizeIsKept: a volume has a size or none, for good, and its data is never
// hidden by a new one.
func TestSizeIsKept(t *testing.T) {
	t.Parallel()
	me := Give{Keep: true}
	image := func(t *testing.T, path string, size int64) {
		t.Helper()
		if err := os.MkdirAll(sized(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sized(path), imageFile), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(sized(path), imageFile), size); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		make func(t *testing.T, path string)
		size int64
		want string
	}{
		"without, and there is one": {func(t *testing.T, path string) { image(t, path, 32<<20) }, 0, "say size: 33554432, or move"},
		"with less than it has":     {func(t *testing.T, path string) { image(t, path, 32<<20) }, 16 << 20, "cannot shrink to 16777216"},
		"with what is none of ours": {func(t *testing.T, path string) { image(t, path, 16<<20) }, 32 << 20, "holds no ext4"},
		"with, and there is content": {func(t *testing.T, path string) {
			if err := os.MkdirAll(filepath.Join(path, "content"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, 32 << 20, "has content, and was made without a size"},
		"a link": {func(t *testing.T, path string) {
			if err := os.MkdirAll(sized(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("/etc/passwd", filepath.Join(sized(path), imageFile)); err != nil {
				t.Fatal(err)
			}
		}, 32 << 20, "symbolic link"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := t.TempDir()
			path := Path(state, "a", "", "v")
			test.make(t, path)
			var err error
			if test.size == 0 {
				_, err = Open(state, path, me)
			} else {
				_, err = OpenSized(t.Context(), state, path, test.size, me)
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestProgramIsMissing(t *testing.T) {
	t.Parallel()
	_, err := find("mkfs.none")
	if !errors.Is(err, runtime.ErrCannotEnforce) || !strings.Contains(err.Error(), "install the package e2fsprogs") {
		t.Errorf("got %v", err)
	}
}

func TestBlocks(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sb := make([]byte, 2048)
	le := binary.LittleEndian
	le.PutUint16(sb[1024+0x38:], 0xef53)
	le.PutUint32(sb[1024+0x18:], 2)
	le.PutUint32(sb[1024+0x4:], 7)
	le.PutUint32(sb[1024+0x150:], 1)
	for want, feature := range map[int64]uint32{7: 0, 1<<32 + 7: 0x80} {
		le.PutUint32(sb[1024+0x60:], feature)
		if _, err := f.WriteAt(sb, 0); err != nil {
			t.Fatal(err)
		}
		if n, err := blocks(f); err != nil || n != want {
			t.Errorf("%d blocks, %v; want %d", n, err, want)
		}
	}
}
