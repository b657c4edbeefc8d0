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
		sb := make([]byte, 2048)
		le := binary.LittleEndian
		le.PutUint16(sb[1024+0x38:], 0xef53)
		le.PutUint32(sb[1024+0x18:], 2)
		le.PutUint32(sb[1024+0x20:], 32768)
		le.PutUint32(sb[1024+0x4:], uint32(size/blockSize))
		if err := os.WriteFile(filepath.Join(sized(path), imageFile), sb, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(sized(path), imageFile), size); err != nil {
			t.Fatal(err)
		}
	}
	content := func(t *testing.T, path string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(path, "content"), 0o700); err != nil {
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
		"with more than it can be":  {func(t *testing.T, path string) { image(t, path, 16<<20) }, 16<<30 + 1, "can grow to 17179869184 at most, not to 17179869185"},
		"with what is none of ours": {func(t *testing.T, path string) {
			if err := os.MkdirAll(sized(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(sized(path), imageFile), make([]byte, 4096), 0o600); err != nil {
				t.Fatal(err)
			}
		}, 32 << 20, "holds no ext4"},
		"with, and there is content": {content, 32 << 20, "has content, and was made without a size"},
		"with, and there are both": {func(t *testing.T, path string) {
			content(t, path)
			image(t, path, 32<<20)
		}, 32 << 20, "the volume is there twice: move "},
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

func TestSuperblock(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const gib = 1 << 30
	for _, test := range []struct {
		high, low, features uint32
		descriptor, more    uint16
		state               uint16
		want                superblock
	}{
		{0, 7, 0, 0, 0, 1, superblock{most: 16 * gib}},
		{0, 7, 0x80, 64, 0, 1, superblock{most: 8 * gib}},
		{0, 7, 0x80, 64, 127, 3, superblock{most: 1024 * gib, faulty: true}},
		{0, 2*gib/blockSize*8 + 1, 0x80, 64, 1, 1, superblock{most: 32 * gib}},
		{1, 0, 0x80, 64, 0, 1, superblock{most: 16 << 40}},
	} {
		sb := make([]byte, 2048)
		le := binary.LittleEndian
		le.PutUint16(sb[1024+0x38:], 0xef53)
		le.PutUint32(sb[1024+0x18:], 2)
		le.PutUint32(sb[1024+0x20:], 32768)
		le.PutUint32(sb[1024+0x4:], test.low)
		le.PutUint32(sb[1024+0x150:], test.high)
		le.PutUint32(sb[1024+0x60:], test.features)
		le.PutUint16(sb[1024+0xfe:], test.descriptor)
		le.PutUint16(sb[1024+0xce:], test.more)
		le.PutUint16(sb[1024+0x3a:], test.state)
		if _, err := f.WriteAt(sb, 0); err != nil {
			t.Fatal(err)
		}
		if got, err := read(f); err != nil || got != test.want {
			t.Errorf("%+v: got %+v, %v", test, got, err)
		}
	}
}
