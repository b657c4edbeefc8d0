package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/gateway/config"
)

// configs holds the configuration in force. A reload puts another in its
// place, or none of it.
type configs struct {
	log     *slog.Logger
	gw      *gateway.Gateway
	prepare func(*gateway.Options)
	profile string // that is served; empty: all servers

	reloading sync.Mutex // one reload at a time
	mu        sync.Mutex
	current   *config.Config
	old       []retired
}

// retired is a configuration whose drivers calls in flight may still use.
type retired struct {
	cfg   *config.Config
	since time.Time
}

// linger is how long the drivers of a former configuration stay open for the
// calls that began with them.
const linger = 10 * time.Minute

func (c *configs) now() *config.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

// options are those of the profile that is served.
func (c *configs) options(cfg *config.Config) (*gateway.Options, error) {
	o, err := cfg.Profile(c.profile)
	if err != nil {
		return nil, err
	}
	c.prepare(o)
	return o, nil
}

// reload reads the file again and puts it in force. Whatever is wrong with it
// is logged and returned, and the running configuration stays.
func (c *configs) reload(ctx context.Context) error {
	c.reloading.Lock()
	defer c.reloading.Unlock()
	old := c.now()
	cfg, err := old.Reload(ctx)
	if err == nil {
		if err = fixed(old, cfg); err == nil {
			var o *gateway.Options
			if o, err = c.options(cfg); err == nil {
				err = c.gw.Reload(ctx, o)
			}
		}
		if err != nil {
			_ = cfg.Close()
			err = fmt.Errorf("%s: %w", cfg.Path, err)
		}
	}
	if err != nil {
		if fs := faults(err); len(fs) > 0 {
			for _, f := range fs {
				c.log.Error("the new configuration is bad; the running one stays", "file", f.File, "line", f.Line, "column", f.Column, "key", f.Key, "error", f.Message)
			}
		} else {
			c.log.Error("the new configuration is bad; the running one stays", "error", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
		return err
	}
	c.mu.Lock()
	c.current = cfg
	c.old = append(c.old, retired{old, time.Now()})
	var closing []*config.Config
	for len(c.old) > 0 && time.Since(c.old[0].since) > linger {
		closing = append(closing, c.old[0].cfg)
		c.old = c.old[1:]
	}
	c.mu.Unlock()
	for _, o := range closing {
		_ = o.Close()
	}
	return nil
}

// fixed reports what only a new start can change.
func fixed(old, cfg *config.Config) error {
	var errs []error
	for _, f := range []struct {
		key  string
		same bool
	}{
		{"listen", old.Listen == cfg.Listen}, {"state", old.State == cfg.State}, {"admin", old.Admin == cfg.Admin},
	} {
		if !f.same {
			errs = append(errs, fmt.Errorf("%s cannot be changed while the gateway runs: start it anew", f.key))
		}
	}
	return errors.Join(errs...)
}

// close closes every configuration, once the gateway has ended.
func (c *configs) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.old {
		_ = o.cfg.Close()
	}
	_ = c.current.Close()
	c.old = nil
}

// watcher tells when a file was changed, also by putting another in its
// place.
type watcher struct {
	path string
	last os.FileInfo
}

func newWatcher(path string) *watcher {
	w := &watcher{path: path}
	w.last, _ = os.Stat(path)
	return w
}

// changed reports whether the file is another than at the last time it was
// asked. A file that is missing is not another: an editor may be about to put
// it back.
func (w *watcher) changed() bool {
	st, err := os.Stat(w.path)
	if err != nil {
		return false
	}
	same := w.last != nil && os.SameFile(w.last, st) && w.last.Size() == st.Size() && w.last.ModTime().Equal(st.ModTime())
	w.last = st
	return !same
}
