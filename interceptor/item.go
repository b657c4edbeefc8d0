package interceptor

import (
	"context"
	"encoding/json"
)

// ItemKind says what an [Item] is.
type ItemKind uint8

// The kinds of items.
const (
	ItemTool ItemKind = iota
	ItemPrompt
	ItemResource
	ItemTemplate // a resource template
)

// String returns "tool", "prompt", "resource" or "template".
func (k ItemKind) String() string {
	return [...]string{"tool", "prompt", "resource", "template"}[k&3]
}

// methods are the methods by which a client lists and uses the kind.
func (k ItemKind) methods() (list, use string) {
	switch k {
	case ItemTool:
		return "tools/list", "tools/call"
	case ItemPrompt:
		return "prompts/list", "prompts/get"
	case ItemResource:
		return "resources/list", "resources/read"
	}
	return "resources/templates/list", "resources/read"
}

// Item is one entry of a list on its way to a client.
type Item struct {
	Kind   ItemKind
	Server string

	// Name is the name or URI that clients use, Original the server's own.
	Name, Original string

	// Raw is the entry as the client will get it. To change the entry, put
	// another value here; its name or URI must stay. The bytes are immutable.
	Raw json.RawMessage

	dropped bool
}

// Drop takes the item off the list. It cannot be called then either.
func (i *Item) Drop() { i.dropped = true }

// Dropped reports whether Drop was called.
func (i *Item) Dropped() bool { return i.dropped }

// ItemFilter is the optional interface of an [Interceptor] that decides about
// each item of tools/list, prompts/list, resources/list and
// resources/templates/list. It is safe for concurrent use.
//
// A filter whose rules change while the gateway runs has the method
// Generation() uint64 too, which returns another number after each change.
type ItemFilter interface {
	// View names what the filter's decisions depend on beside the item: two
	// calls with equal views are shown the same. An empty view means that
	// they depend on the principal.
	View(c *Call) string

	// Item keeps, drops or changes one item. It runs once for each item and
	// view, not for each request. c is the call that lists or uses it. An
	// error fails the whole list.
	Item(ctx context.Context, c *Call, i *Item) error
}

// Generations is the optional interface of an [ItemFilter] whose rules
// change.
type Generations interface{ Generation() uint64 }

// ListOnly is the optional interface of an [ItemFilter] that changes what lists
// show and forbids nothing: what it drops can still be called by who knows its
// name. The gateway then need not ask it about calls.
type ListOnly interface{ ListOnly() bool }

// Filters returns the item filters among the interceptors, outermost first,
// and those inside [When], [Monitor], [Contain] and other [Wrapper]s.
func Filters(is ...Interceptor) []ItemFilter {
	var all []ItemFilter
	for _, i := range is {
		switch i := i.(type) {
		case *when:
			for _, f := range Filters(i.is...) {
				all = append(all, &whenFilter{&i.sel, f})
			}
		case *monitor:
			for _, f := range Filters(i.i) {
				all = append(all, &monitorFilter{i, f})
			}
		case ItemFilter:
			all = append(all, i)
		case Wrapper:
			all = append(all, Filters(i.Unwrap()...)...)
		}
	}
	return all
}

// generation returns the generation of a filter that has none of its own.
func generation(f ItemFilter) uint64 {
	if g, ok := f.(Generations); ok {
		return g.Generation()
	}
	return 0
}

// Hides reports whether what f drops cannot be called either, as it is unless
// f is [ListOnly].
func Hides(f ItemFilter) bool {
	l, ok := f.(ListOnly)
	return !ok || !l.ListOnly()
}
