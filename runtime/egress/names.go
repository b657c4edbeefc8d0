package egress

import (
	"container/list"
	"encoding/binary"
	"net/netip"
	"sync"
)

// maxNames bounds the names that a gate keeps addresses for. Only names on
// the list get any, so that it takes a "*.suffix" to get there.
const maxNames = 4096

// The private pools: an address is the prefix with a number in its last
// bytes, the same in both families.
const (
	pool4    = "198.18.0.0/15"
	pool6    = "fd67:6174:6568:6f75::/64"
	poolSize = 1<<17 - 2 // without the first and the last
)

// names gives names addresses of their own and finds the names again. When
// there are too many, the one that was used least lately is forgotten; its
// number comes up again only after all others.
type names struct {
	max          int
	four, six    netip.Prefix
	mu           sync.Mutex
	next         uint32
	byName       map[string]*list.Element
	byNumber     map[uint32]*list.Element
	oldestAtBack *list.List
}

type nameEntry struct {
	name   string
	number uint32
}

func newNames(most int) *names {
	return &names{
		max: most, four: netip.MustParsePrefix(pool4), six: netip.MustParsePrefix(pool6),
		byName: map[string]*list.Element{}, byNumber: map[uint32]*list.Element{}, oldestAtBack: list.New(),
	}
}

// addrs returns the addresses of a name.
func (n *names) addrs(name string) (four, six netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, ok := n.byName[name]
	if ok {
		n.oldestAtBack.MoveToFront(e)
	} else {
		if n.oldestAtBack.Len() >= n.max {
			last := n.oldestAtBack.Back()
			old := n.oldestAtBack.Remove(last).(nameEntry)
			delete(n.byName, old.name)
			delete(n.byNumber, old.number)
		}
		for {
			n.next = n.next%poolSize + 1
			if _, taken := n.byNumber[n.next]; !taken {
				break
			}
		}
		e = n.oldestAtBack.PushFront(nameEntry{name, n.next})
		n.byName[name], n.byNumber[n.next] = e, e
	}
	number := e.Value.(nameEntry).number
	a := n.four.Addr().As4()
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])+number)
	b := n.six.Addr().As16()
	binary.BigEndian.PutUint32(b[12:], number)
	return netip.AddrFrom4(a), netip.AddrFrom16(b)
}

// name returns the name that an address was made up for, empty when it was
// forgotten or never was one, and whether the address is of the pools at all.
func (n *names) name(a netip.Addr) (name string, ours bool) {
	var number uint32
	switch {
	case n.four.Contains(a):
		b, base := a.As4(), n.four.Addr().As4()
		number = binary.BigEndian.Uint32(b[:]) - binary.BigEndian.Uint32(base[:])
	case n.six.Contains(a):
		b := a.As16()
		if binary.BigEndian.Uint32(b[8:12]) != 0 {
			return "", true
		}
		number = binary.BigEndian.Uint32(b[12:])
	default:
		return "", false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	e, ok := n.byNumber[number]
	if !ok {
		return "", true
	}
	n.oldestAtBack.MoveToFront(e)
	return e.Value.(nameEntry).name, true
}

// meant returns the target behind an address that was made up.
func (n *names) meant(t target) (target, *refusal) {
	if t.named() {
		return t, nil
	}
	switch name, ours := n.name(t.addr); {
	case !ours:
		return t, nil
	case name == "":
		return t, &refusal{reason: "the address stands for no name; it must come from an answer of DNS inside"}
	default:
		return target{host: name, port: t.port}, nil
	}
}
