package inject

import (
	"encoding/binary"
	"errors"
	"strings"
)

// frames reads how a body of gRPC is put together, so that a message goes on as
// soon as it is whole: each has five bytes before it, of which the first tells
// whether it is compressed, and the others how long it is.
type frames struct {
	head []byte
	left int // bytes of the message
}

// longestFrame bounds a message. That keeps the letters of a text from being
// read as a length.
const longestFrame = 256 << 20

// framed tells whether a body is in frames: that of gRPC, gRPC-Web and the
// streams of Connect.
func framed(contentType string) bool {
	kind, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	kind = strings.TrimSpace(kind)
	for _, family := range []string{"application/grpc", "application/grpc-web", "application/connect"} {
		if kind == family && family != "application/connect" || strings.HasPrefix(kind, family+"+") {
			return true
		}
	}
	return false
}

// read reads what comes, and reports whether a message ends with it.
func (f *frames) read(b []byte) (end bool, err error) {
	for len(b) > 0 {
		if f.left > 0 {
			n := min(f.left, len(b))
			f.left, b = f.left-n, b[n:]
			continue
		}
		n := min(5-len(f.head), len(b))
		f.head, b = append(f.head, b[:n]...), b[n:]
		if flags := f.head[0]; flags != 0 && flags != 2 && flags != 0x80 { // a message, the end of Connect, the trailers of gRPC-Web
			return false, errors.New("a message of the response is compressed, or none of gRPC")
		}
		if len(f.head) < 5 {
			break
		}
		long := binary.BigEndian.Uint32(f.head[1:])
		if long > longestFrame {
			return false, errors.New("a message of the response is too long")
		}
		f.left, f.head = int(long), f.head[:0]
	}
	return f.left == 0 && len(f.head) == 0, nil
}
