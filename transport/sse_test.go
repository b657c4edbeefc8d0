package transport

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

type plainEvent struct {
	ID, Type, Data string
	Retry          int
}

func readEvents(r *EventReader) ([]plainEvent, error) {
	var out []plainEvent
	for {
		e, err := r.Next()
		if err != nil {
			return out, err
		}
		out = append(out, plainEvent{e.ID, e.Type, string(e.Data), e.Retry})
	}
}

func TestEventReader(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in string
		want     []plainEvent
	}{
		{"empty", "", nil},
		{"one", "data: x\n\n", []plainEvent{{Data: "x", Retry: -1}}},
		{"no space", "data:x\n\n", []plainEvent{{Data: "x", Retry: -1}}},
		{"one space only", "data:  x\n\n", []plainEvent{{Data: " x", Retry: -1}}},
		{"crlf", "event: a\r\ndata: x\r\n\r\n", []plainEvent{{Type: "a", Data: "x", Retry: -1}}},
		{"cr", "event: a\rdata: x\r\rdata: y\r\r", []plainEvent{{Type: "a", Data: "x", Retry: -1}, {Data: "y", Retry: -1}}},
		{"bom", "\xef\xbb\xbfdata: x\n\n\xef\xbb\xbfdata: y\n\n", []plainEvent{{Data: "x", Retry: -1}}},
		{"lines", "data: a\ndata:\ndata: b\n\n", []plainEvent{{Data: "a\n\nb", Retry: -1}}},
		{"comment", ": hello\n\n:\ndata: x\n: y\n\n", []plainEvent{{Data: "x", Retry: -1}}},
		{"id stays", "id: 7\ndata: x\n\ndata: y\n\n", []plainEvent{{ID: "7", Data: "x", Retry: -1}, {ID: "7", Data: "y", Retry: -1}}},
		{"id is emptied", "id: 7\ndata: x\n\nid\ndata: y\n\n", []plainEvent{{ID: "7", Data: "x", Retry: -1}, {Data: "y", Retry: -1}}},
		{"id with NUL", "id: a\x00\ndata: x\n\n", []plainEvent{{Data: "x", Retry: -1}}},
		{"priming", "id: 1\nretry: 500\ndata: \n\n", []plainEvent{{ID: "1", Retry: 500}}},
		{"bad retry", "retry: 5s\ndata: x\n\nretry:\n\n", []plainEvent{{Data: "x", Retry: -1}}},
		{"huge retry", "retry: 99999999999999999999999\n\n", []plainEvent{{Retry: maxRetry}}},
		{"message is the default", "event: message\ndata: x\n\n", []plainEvent{{Data: "x", Retry: -1}}},
		{"unknown field", "foo: 1\ndatax: 2\n\ndata: x\n\n", []plainEvent{{Data: "x", Retry: -1}}},
		{"cut off", "data: x\n\nid: 9\ndata: y\n", []plainEvent{{Data: "x", Retry: -1}}},
		{"no value", "data\n\n", []plainEvent{{Retry: -1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for how, in := range map[string]io.Reader{
				"at once":      strings.NewReader(tt.in),
				"byte by byte": iotest.OneByteReader(strings.NewReader(tt.in)),
				"with EOF":     iotest.DataErrReader(strings.NewReader(tt.in)),
			} {
				got, err := readEvents(NewEventReader(in, 0))
				if err != io.EOF {
					t.Errorf("%s: the stream ended with %v", how, err)
				}
				if !reflect.DeepEqual(got, tt.want) {
					t.Errorf("%s: got %+v, want %+v", how, got, tt.want)
				}
			}
		})
	}
}

func TestEventReaderLastID(t *testing.T) {
	t.Parallel()
	r := NewEventReader(strings.NewReader("id: 1\ndata: x\n\nid: 2\ndata: cut off"), 0)
	if _, err := readEvents(r); err != io.EOF {
		t.Fatal(err)
	}
	if got := r.LastID(); got != "1" {
		t.Errorf("the last complete event is %q, want 1", got)
	}
}

func TestEventReaderLimits(t *testing.T) {
	t.Parallel()
	line := "data: " + strings.Repeat("x", 94) + "\n"
	for _, tt := range []struct {
		name, in, want string
	}{
		{"a long line", "data: " + strings.Repeat("x", 200) + "\n\n", "an event of the stream is longer than the limit of 100 bytes (-31003)"},
		{"a line without end", strings.Repeat("x", 1<<20), "a line of the stream is longer than the limit of 100 bytes (-31003)"},
		{"a comment without end", ":" + strings.Repeat("x", 1<<20), "a line of the stream is longer than the limit of 100 bytes (-31003)"},
		{"many lines", line + line + "\n", "an event of the stream is longer than the limit of 100 bytes (-31003)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := NewEventReader(strings.NewReader(tt.in), 100)
			if _, err := r.Next(); err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if _, err := r.Next(); err == nil || err.Error() != tt.want {
				t.Errorf("the second call gives %v", err)
			}
		})
	}
	if got, err := readEvents(NewEventReader(strings.NewReader(strings.Repeat(line+"\n", 1000)), 100)); len(got) != 1000 || err != io.EOF {
		t.Errorf("1000 events at the limit: got %d and %v", len(got), err)
	}
	if got, err := readEvents(NewEventReader(strings.NewReader(strings.Repeat(":\n", 1000)+line+"\n"), 100)); len(got) != 1 || err != io.EOF {
		t.Errorf("comments count towards the event's limit: got %d and %v", len(got), err)
	}
}

func TestEventReaderError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	r := NewEventReader(io.MultiReader(strings.NewReader("data: x\n\ndata: y\n"), iotest.ErrReader(broken)), 0)
	got, err := readEvents(r)
	if len(got) != 1 || err != broken {
		t.Errorf("got %v and %v", got, err)
	}
	if _, err := NewEventReader(stuckReader{}, 0).Next(); err != io.ErrNoProgress {
		t.Errorf("a reader that gives nothing: %v", err)
	}
}

type stuckReader struct{}

func (stuckReader) Read([]byte) (int, error) { return 0, nil }

func TestAppendEvent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		id, event string
		retry     int
		data      []byte
		want      string
	}{
		{"data", "", "", 0, []byte(`{"a":1}`), "data: {\"a\":1}\n\n"},
		{"all", "3", "message", 500, []byte("x"), "event: message\nid: 3\nretry: 500\ndata: x\n\n"},
		{"priming", "3", "", 0, []byte{}, "id: 3\ndata: \n\n"},
		{"retry only", "", "", 500, nil, "retry: 500\n\n"},
		{"lines", "", "", 0, []byte("a\nb\r\nc\rd\n"), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"},
		{"injection", "1\ndata: x", "a\r\n\r\nb", 0, []byte("x"), "event: ab\nid: 1data: x\ndata: x\n\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := string(AppendEvent(nil, tt.id, tt.event, tt.retry, tt.data)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// naiveEvents is the format as the standard tells it, step by step.
func naiveEvents(in string) (out []plainEvent) {
	in = strings.TrimPrefix(in, "\xef\xbb\xbf")
	in = strings.ReplaceAll(strings.ReplaceAll(in, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(in, "\n")
	e, data, fields := plainEvent{Retry: -1}, []string(nil), false
	for _, l := range lines[:len(lines)-1] {
		if l == "" {
			if fields {
				e.Data = strings.Join(data, "\n")
				out = append(out, e)
			}
			e, data, fields = plainEvent{ID: e.ID, Retry: -1}, nil, false
			continue
		}
		name, value, _ := strings.Cut(l, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "data":
			data = append(data, value)
		case "event":
			if e.Type = value; value == "message" {
				e.Type = ""
			}
		case "id":
			if strings.Contains(value, "\x00") {
				continue
			}
			e.ID = value
		case "retry":
			n, ok := parseRetry([]byte(value))
			if !ok {
				continue
			}
			e.Retry = n
		default:
			continue
		}
		fields = true
	}
	return out
}

func FuzzEventReader(f *testing.F) {
	for _, s := range []string{"", "data: x\n\n", "\xef\xbb\xbfid: 1\r\nevent: a\rdata\n\n", ":\n\ndata: a\ndata: b\n\nretry: 12\n\n", "data: x\r\n\r\n\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		want := naiveEvents(string(in))
		for how, r := range map[string]io.Reader{
			"at once":      bytes.NewReader(in),
			"byte by byte": iotest.OneByteReader(bytes.NewReader(in)),
			"by halves":    iotest.HalfReader(bytes.NewReader(in)),
		} {
			got, err := readEvents(NewEventReader(r, 0))
			if err != io.EOF {
				t.Fatalf("%s: %v", how, err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: got %+v, want %+v", how, got, want)
			}
		}
	})
}

func FuzzAppendEvent(f *testing.F) {
	f.Add("1", "message", 500, []byte("a\nb"), []byte("c"))
	f.Fuzz(func(t *testing.T, id, event string, retry int, one, two []byte) {
		b := AppendEvent(AppendEvent(nil, id, event, retry, one), "", "", 0, append([]byte{}, two...))
		got, err := readEvents(NewEventReader(bytes.NewReader(b), 1<<20))
		if err != io.EOF {
			t.Fatal(err)
		}
		newlines := strings.NewReplacer("\r\n", "\n", "\r", "\n")
		if len(got) == 0 || got[len(got)-1].Data != newlines.Replace(string(two)) {
			t.Fatalf("%q reads as %+v", b, got)
		}
		if len(got) == 2 && got[0].Data != newlines.Replace(string(one)) {
			t.Fatalf("%q reads as %+v", b, got)
		}
	})
}

func BenchmarkEventReader(b *testing.B) {
	in := bytes.Repeat(AppendEvent(nil, "17", "message", 0, bytes.Repeat([]byte("x"), 1000)), 1000)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		r := NewEventReader(bytes.NewReader(in), 0)
		for {
			if _, err := r.Next(); err != nil {
				break
			}
		}
	}
}
