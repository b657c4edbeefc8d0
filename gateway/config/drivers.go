package config

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// drivers are what one Config made or took over, by section, kind and digest
// of their options.
type drivers struct {
	mu     sync.Mutex
	byKey  map[string]*driver
	prev   *drivers // while loading
	count  map[string]int
	closed bool
}

// driver is one driver and the number of Configs that use it.
type driver struct {
	value any
	users *users
}

type users struct {
	mu sync.Mutex
	n  int
}

func newDrivers(prev *drivers) *drivers {
	return &drivers{byKey: make(map[string]*driver), count: make(map[string]int), prev: prev}
}

// get returns the driver of a section: that of the previous Config when it was
// made of the same options, else what mk makes. Two equal entries are two
// drivers.
func (d *drivers) get(key string, mk func() (any, error)) (any, error) {
	d.count[key]++
	key = fmt.Sprintf("%s %d", key, d.count[key])
	if v := d.prev.share(key); v != nil {
		d.byKey[key] = v
		return v.value, nil
	}
	v, err := mk()
	if err != nil {
		return nil, err
	}
	d.byKey[key] = &driver{value: v, users: &users{n: 1}}
	return v, nil
}

// share hands a driver to one more Config; nil when there is none.
func (d *drivers) share(key string) *driver {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.byKey[key]
	if v == nil || d.closed {
		return nil
	}
	v.users.mu.Lock()
	v.users.n++
	v.users.mu.Unlock()
	return v
}

func (d *drivers) close() error {
	d.mu.Lock()
	all := d.byKey
	d.byKey, d.prev, d.closed = nil, nil, true
	d.mu.Unlock()
	var errs []error
	for _, v := range all {
		v.users.mu.Lock()
		v.users.n--
		last := v.users.n == 0
		v.users.mu.Unlock()
		if c, ok := v.value.(io.Closer); ok && last {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}
