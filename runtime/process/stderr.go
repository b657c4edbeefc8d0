package process

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"sync"
)

// What is kept of a server's standard error.
const (
	keptLines = 20
	keptBytes = 4 << 10 // of each line
	readLine  = 64 << 10
)

// tail keeps the last lines that a server wrote.
type tail struct {
	redact *strings.Replacer
	log    func(line string)

	mu    sync.Mutex
	lines []string
}

// read reads to the end.
func (t *tail) read(r io.Reader) {
	in := bufio.NewReaderSize(r, readLine)
	for {
		line, err := in.ReadSlice('\n')
		t.add(string(line))
		for errors.Is(err, bufio.ErrBufferFull) { // the rest of a line that is too long
			_, err = in.ReadSlice('\n')
		}
		if err != nil {
			return
		}
	}
}

func (t *tail) add(line string) {
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return
	}
	line = t.redact.Replace(strings.ToValidUTF8(line, "\uFFFD"))
	if len(line) > keptBytes {
		line = strings.ToValidUTF8(line[:keptBytes], "") + "…"
	}
	t.mu.Lock()
	if len(t.lines) == keptLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, line)
	t.mu.Unlock()
	if t.log != nil {
		t.log(line)
	}
}

// last returns what was kept.
func (t *tail) last() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.lines...)
}
