// Package stderrtail keeps the last lines that a server printed on its
// standard error, without the secrets of its environment, for the reason that
// is given when the server ends.
//
//	t := stderrtail.New(spec.Env, nil)
//	go t.Read(stderr)
//	…
//	exit.Stderr = t.Last()
//
// In them the values of the environment are redacted: those with references
// wherever they stand, plain ones from eight bytes on.
package stderrtail

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// What is kept of a server's standard error.
const (
	keptLines = 20
	keptBytes = 4 << 10 // of each line
	readLine  = 64 << 10
)

// Tail keeps the last lines that a server wrote: 20, of at most 4 KiB each. It
// is safe for concurrent use.
type Tail struct {
	log func(line string)

	mu     sync.Mutex
	hidden []secrets.Value
	redact *strings.Replacer
	lines  []string
}

// New returns a Tail that redacts the values of env. log, which may be nil,
// gets every line as it is kept; it must return fast.
func New(env map[string]secrets.Value, log func(line string)) *Tail {
	t := &Tail{log: log, hidden: slices.Collect(maps.Values(env))}
	t.redact = redactor(t.hidden)
	return t
}

// Hide redacts another value from now on.
func (t *Tail) Hide(v secrets.Value) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hidden = append(t.hidden, v)
	t.redact = redactor(t.hidden)
}

// Read reads to the end of r. Several may read at once.
func (t *Tail) Read(r io.Reader) {
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

func (t *Tail) add(line string) {
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return
	}
	t.mu.Lock()
	redact := t.redact
	t.mu.Unlock()
	line = redact.Replace(strings.ToValidUTF8(line, "\uFFFD"))
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

// Last returns what was kept, oldest first.
func (t *Tail) Last() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.lines...)
}

// Redaction of plain values begins at this length: shorter ones are words
// such as "debug" or "8080".
const shortestPlain = 8

var reference = regexp.MustCompile(`\$\{[^}]*\}`)

// redactor replaces the values of an environment in what a server prints.
func redactor(env []secrets.Value) *strings.Replacer {
	var hidden []string
	hide := func(s string, least int) {
		for line := range strings.SplitSeq(s, "\n") { // the output is read by line
			if line = strings.TrimSpace(line); len(line) >= least {
				hidden = append(hidden, line)
			}
		}
	}
	for _, v := range env {
		template, value := v.String(), v.Reveal()
		switch {
		case template == secrets.Redacted:
			hide(value, shortestPlain)
		case strings.HasPrefix(template, "secret://"):
			hide(value, 1)
		default: // text around references is none of the secret
			hide(value, 1)
			rest := value
			for _, text := range reference.Split(strings.ReplaceAll(template, "$${", "${"), -1) {
				secret, after, ok := strings.Cut(rest, text)
				if !ok {
					break
				}
				hide(secret, 1)
				rest = after
			}
			hide(rest, 1)
		}
	}
	slices.SortFunc(hidden, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	hidden = slices.Compact(hidden)
	pairs := make([]string, 0, 2*len(hidden))
	for _, s := range hidden {
		pairs = append(pairs, s, secrets.Redacted)
	}
	return strings.NewReplacer(pairs...)
}
