package config

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Kinds is what a program brings for its files to name. Every field may be
// empty.
type Kinds struct {
	// Runtimes, Interceptors, Secrets and Auth are the drivers by the names
	// that a file uses. The kind "env" of Secrets resolves ${NAME}; it needs
	// no entry in the file.
	Runtimes     map[string]Factory[runtime.Runtime]
	Interceptors map[string]Factory[interceptor.Interceptor]
	Secrets      map[string]Factory[secrets.Provider]
	Auth         map[string]Factory[transport.Authenticator]

	// Plain names the kind of Runtimes that runs `command:` servers as plain
	// processes, which nothing confines. Without it they are refused.
	Plain string

	// Confine names the kind of Runtimes that runs the commands that are to
	// be confined (`confine: true`). Without it they are refused.
	Confine string

	// Driver names the kind of Runtimes that runs `image:` servers where the
	// file says nothing else in runtime.driver.
	Driver string

	// Remote makes the launchers of `url:` servers. Without it they are
	// refused. Whether a server speaks Streamable HTTP or the older HTTP+SSE
	// is for the launcher to find out.
	Remote func(Remote) (runtime.Launcher, error)

	// StateHome is the folder in which a file that says no `state` gets a
	// folder of its own: STATEHOME/gatehouse/HASH.
	StateHome string
}

// Remote is a server at a URL.
type Remote struct {
	URL     string
	Headers map[string]secrets.Value
	Query   map[string]secrets.Value
}

// Factory makes drivers of one kind. It is safe for concurrent use.
type Factory[T any] interface {
	// Options returns a pointer to a new options struct, filled with the
	// defaults. The section of the file is decoded into it, and the schema
	// is made from its type.
	Options() any

	// Make makes a driver of the options that Options returned. A driver
	// that is an [io.Closer] is closed by [Config.Close]. ctx bounds the
	// making alone.
	Make(ctx context.Context, site Site, options any) (T, error)
}

// Site is where a driver is made.
type Site struct {
	State string // the configuration's state folder; empty when it has none
	Dir   string // the folder that the file is in
}

// Path is a path as the file means it: relative to the folder that it is in.
// An empty one stays empty.
func (s Site) Path(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(s.Dir, path)
}

// FactoryOf makes a [Factory] of a function. The options of an empty section
// are the zero O.
func FactoryOf[O, T any](f func(ctx context.Context, options *O) (T, error)) Factory[T] {
	return factoryFunc[O, T](func(ctx context.Context, _ Site, options *O) (T, error) { return f(ctx, options) })
}

// FactoryAt is FactoryOf for a driver that has to do with files.
func FactoryAt[O, T any](f func(ctx context.Context, site Site, options *O) (T, error)) Factory[T] {
	return factoryFunc[O, T](f)
}

type factoryFunc[O, T any] func(ctx context.Context, site Site, options *O) (T, error)

func (f factoryFunc[O, T]) Options() any { return new(O) }

func (f factoryFunc[O, T]) Make(ctx context.Context, site Site, options any) (T, error) {
	o, ok := options.(*O)
	if !ok {
		var none T
		return none, fmt.Errorf("the options are %T, not %T", options, o)
	}
	return f(ctx, site, o)
}

// names lists the kinds of a section for a message.
func names[T any](m map[string]Factory[T]) []string { return slices.Sorted(maps.Keys(m)) }
