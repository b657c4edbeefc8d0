package config

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/internal/strictyaml"
	"github.com/gatehouse-mcp/gatehouse/profile"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// Fault is one fault of a file: its place (line and column from 1), the path
// of the key and what is wrong.
type Fault = strictyaml.Fault

// Config is a file that was read. It is not changed after Load.
type Config struct {
	// Options has what the file says of the gateway; the rest is zero, to
	// be filled by the program.
	Options *gateway.Options

	// Path is the file's absolute path.
	Path string

	// Listen is the address to serve on; empty when the file names none.
	Listen string

	// Admin is the section admin.
	Admin Admin

	// State is the absolute path of the state folder; empty when neither
	// the file nor [Kinds.StateHome] names one. It need not exist.
	State string

	// Servers describes the servers in the order of the file, those that
	// are disabled included.
	Servers []Server

	// Profiles are the profiles of the file, in its order; see
	// [Config.Profile].
	Profiles []profile.Profile

	// Secrets are the providers of secrets, by their names in the file and
	// without their caches; those of which the file only makes chains are
	// not among them. Options.Secrets resolves what the file names.
	Secrets map[string]secrets.Provider

	// Runtimes are the runtimes that were made, by their kinds. Those that
	// are a [runtime.Reaper] remove what dead gateways left, when asked.
	Runtimes map[string]runtime.Runtime

	kinds   *Kinds
	drivers *drivers

	providers *providers
}

// Server describes one server of a file.
type Server struct {
	Name     string
	Prefix   string // of the names of its tools; empty for the unprefixed server
	Kind     Kind
	Target   string // the program, the URL without its query, the image
	Dir      string // where the program starts; empty: where the gateway runs
	Confined string // "no" for a plain process, else the runtime; empty for a URL
	Instance gateway.Scope
	Env      map[string]secrets.Value // as it stands in the file, nothing resolved
	Refs     []secrets.Ref            // the secrets that it names
	Uses     []Use                    // what it names them for
	Disabled bool
	Line     int
	Problem  string // why its runtime will not start it on this machine; empty when nothing is known
}

// Use is a value of a server's entry that holds references.
type Use struct {
	Key      string // in the entry, such as env.TOKEN
	Name     string // what the server knows it by, such as TOKEN
	Value    secrets.Value
	Optional bool // the server starts without it
}

// Kind says what a server is.
type Kind string

// The kinds of servers.
const (
	Command Kind = "command"
	URL     Kind = "url"
	Image   Kind = "image"
)

// Load reads a file. The error joins all faults of it, each a [*Fault], or
// says why the file cannot be read. ctx bounds the making of the drivers.
func Load(ctx context.Context, path string, k *Kinds) (*Config, error) {
	return load(ctx, path, k, nil)
}

// Reload reads the file again and takes over the drivers of sections that are
// unchanged. c stays valid until it is closed.
func (c *Config) Reload(ctx context.Context) (*Config, error) {
	return load(ctx, c.Path, c.kinds, c.drivers)
}

// Close closes the drivers that no other Config uses. It is idempotent.
func (c *Config) Close() error { return c.drivers.close() }

func load(ctx context.Context, path string, k *Kinds, old *drivers) (*Config, error) {
	if k == nil {
		k = new(Kinds)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", path, err)
	}
	data, err := read(abs)
	if err != nil {
		return nil, err
	}
	root, err := strictyaml.Parse(abs, data)
	if err != nil {
		return nil, err
	}
	l := &loader{
		ctx: ctx, kinds: k, root: root, site: Site{Dir: filepath.Dir(abs)},
		drivers: newDrivers(old), runtimes: make(map[string]runtime.Runtime),
	}
	l.dec = strictyaml.NewDecoder(func(n strictyaml.Node, v secrets.Value) { l.values = append(l.values, placed{n, v}) })
	var f file
	l.dec.Decode(root, &f)
	cfg := &Config{
		Path: abs, Listen: f.Listen, Admin: f.Admin, State: f.State, kinds: k, drivers: l.drivers,
		Options: &gateway.Options{PublicURL: f.PublicURL, Unprefixed: f.Bare},
	}
	switch {
	case cfg.State != "":
		cfg.State = l.site.Path(cfg.State)
	case k.StateHome != "":
		h := sha256.Sum256([]byte(abs))
		cfg.State = filepath.Join(k.StateHome, "gatehouse", hex.EncodeToString(h[:8]))
	}
	l.site.State = cfg.State
	l.basics(&f)
	l.settleSecrets(&f)
	l.sections(&f, cfg)
	l.servers(&f, cfg)
	l.profiles(&f, cfg)
	cfg.Runtimes = make(map[string]runtime.Runtime)
	for kind, rt := range l.runtimes {
		if rt != nil {
			cfg.Runtimes[kind] = rt
		}
	}
	if err := l.dec.Err(); err != nil {
		_ = l.drivers.close()
		return nil, err
	}
	l.drivers.prev = nil // so that a chain of reloads can be collected
	return cfg, nil
}

// read reads a file of bounded size.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.IsDir() {
		return nil, fmt.Errorf("%s is a folder: name the file in it", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, strictyaml.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return data, nil
}

// loader builds one Config.
type loader struct {
	ctx      context.Context
	kinds    *Kinds
	root     strictyaml.Node
	dec      *strictyaml.Decoder
	drivers  *drivers
	runtimes map[string]runtime.Runtime
	values   []placed
	site     Site

	confineAll bool             // runtime.confine
	ceiling    *runtime.Ceiling // runtime.ceiling; nil without one
}

// placed is a value with references, and where it stands.
type placed struct {
	at  strictyaml.Node
	val secrets.Value
}

// basics checks the keys at the top that hold one plain value.
func (l *loader) basics(f *file) {
	if n := node(f.Version); n.Present() {
		version, failed := 0, l.dec.Failed()
		if l.dec.Decode(n, &version); version != 1 && l.dec.Failed() == failed {
			l.dec.Fault(n, "this program reads version 1 of the format alone")
		}
	}
	if n := l.root.Get("listen"); f.Listen != "" {
		_, port, err := net.SplitHostPort(f.Listen)
		if _, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil {
			l.dec.Fault(n, "%q is no address: write HOST:PORT, such as 127.0.0.1:8811", f.Listen)
		}
	}
	if n := l.root.Get("publicURL"); f.PublicURL != "" {
		if msg := checkURL(f.PublicURL); msg != "" {
			l.dec.Fault(n, "%s", msg)
		}
	}
}

// checkURL says what is wrong with the URL of an HTTP endpoint. It never
// shows the URL: a password may stand in it.
func checkURL(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "must be an http or https URL with a host"
	case u.User != nil:
		return "must not hold a user name or password: use headers"
	case u.Fragment != "":
		return "must not have a fragment (#…)"
	}
	return ""
}
