package rawjson

import "bytes"

// Compact makes v fit on one line. It returns v itself when v holds no line
// break, and otherwise a copy without insignificant white space in which
// every other byte is as it was. Whatever v is, the result holds no line
// break.
func Compact(v []byte) []byte {
	if bytes.IndexByte(v, '\n') < 0 && bytes.IndexByte(v, '\r') < 0 {
		return v
	}
	out := make([]byte, 0, len(v))
	for i := 0; i < len(v); {
		switch v[i] {
		case ' ', '\n', '\r', '\t':
			i++
		case '"':
			end, fl := scanString(v, i)
			if fl.bad() {
				return appendLine(out, v[i:])
			}
			out = append(out, v[i:end]...)
			i = end
		default:
			start := i
			for i < len(v) && v[i] > ' ' && v[i] != '"' {
				i++
			}
			if i == start {
				i++
			}
			out = append(out, v[start:i]...)
		}
	}
	return out
}

// appendLine appends text that is no JSON, without its line breaks.
func appendLine(dst, text []byte) []byte {
	for _, c := range text {
		if c != '\n' && c != '\r' {
			dst = append(dst, c)
		}
	}
	return dst
}
