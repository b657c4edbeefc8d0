package interceptor

import (
	"bytes"
	"encoding/json"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// overlay makes the changes in raw that lead from before to after. before is
// what a typed view of raw was encoded as when nobody had changed it, so that
// a difference to after is an edit, and a difference to raw is what the type
// does not know: it stays.
func overlay(raw, before, after json.RawMessage) json.RawMessage {
	if bytes.Equal(before, after) {
		return raw
	}
	kind := rawjson.KindOf(raw)
	if kind != rawjson.KindOf(before) || kind != rawjson.KindOf(after) {
		return after
	}
	switch kind {
	case rawjson.Object:
		return overlayObject(raw, before, after)
	case rawjson.Array:
		return overlayArray(raw, before, after)
	}
	return after
}

func overlayObject(raw, before, after json.RawMessage) json.RawMessage {
	var edits []rawjson.Edit
	rawjson.Each(after, func(k, a []byte) bool {
		key, _ := rawjson.String(k)
		b, had := rawjson.Get(before, key)
		if had && bytes.Equal(a, b) {
			return true
		}
		if r, ok := rawjson.Get(raw, key); ok && had {
			a = overlay(r, b, a)
		}
		edits = append(edits, rawjson.Edit{Path: []string{key}, Value: a})
		return true
	})
	rawjson.Each(before, func(k, _ []byte) bool {
		key, _ := rawjson.String(k)
		if _, ok := rawjson.Get(after, key); !ok {
			edits = append(edits, rawjson.Edit{Path: []string{key}})
		}
		return true
	})
	return rawjson.Apply(raw, edits...)
}

// overlayArray keeps the elements that are in both, as they were sent, and
// pairs those between them that were edited in place.
func overlayArray(raw, before, after json.RawMessage) json.RawMessage {
	r, b, a := elements(raw), elements(before), elements(after)
	if len(r) != len(b) {
		return after
	}
	head := 0
	for head < len(b) && head < len(a) && bytes.Equal(b[head], a[head]) {
		head++
	}
	tail := 0
	for tail < len(b)-head && tail < len(a)-head && bytes.Equal(b[len(b)-1-tail], a[len(a)-1-tail]) {
		tail++
	}
	out := make([]json.RawMessage, 0, len(a))
	out = append(out, r[:head]...)
	mr, mb, ma := r[head:len(r)-tail], b[head:len(b)-tail], a[head:len(a)-tail]
	if len(mb) == len(ma) {
		for i := range ma {
			out = append(out, overlay(mr[i], mb[i], ma[i]))
		}
	} else {
		// Elements were added or removed: what equals an element, in order,
		// is that element; the rest is new.
		at := 0
		for _, e := range ma {
			found := e
			for i := at; i < len(mb); i++ {
				if bytes.Equal(mb[i], e) {
					found, at = mr[i], i+1
					break
				}
			}
			out = append(out, found)
		}
	}
	out = append(out, r[len(r)-tail:]...)
	n := 2
	for _, e := range out {
		n += len(e) + 1
	}
	joined := append(make(json.RawMessage, 0, n), '[')
	for i, e := range out {
		if i > 0 {
			joined = append(joined, ',')
		}
		joined = append(joined, e...)
	}
	return append(joined, ']')
}

func elements(array json.RawMessage) (all []json.RawMessage) {
	rawjson.Each(array, func(_, v []byte) bool {
		all = append(all, v)
		return true
	})
	return all
}
