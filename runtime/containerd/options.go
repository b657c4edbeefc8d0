package containerd

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
)

// The defaults of [Options].
const (
	DefaultAddress   = "/run/containerd/containerd.sock"
	DefaultNamespace = "gatehouse"
	DefaultRuncRoot  = "/run/gatehouse"
	DefaultPath      = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" // of images that name none
)

// Options configures a [Runtime]. The zero value is useful.
type Options struct {
	// Address is containerd's socket [DefaultAddress], Namespace the one of
	// containerd in which everything is made [DefaultNamespace]: images too,
	// so that a "containerd:" reference is looked up there. Gateways may share
	// a namespace. Snapshotter is one of containerd's [its default].
	Address     string
	Namespace   string
	Snapshotter string

	// Classes are runtime classes by the name that Spec.Class gives, beside
	// and in the place of the two that are always there: "", which is runc,
	// and "gvisor". RuncBinary and RunscBinary are the programs of those two:
	// absolute, or names on the PATH of containerd ["runc", "runsc"].
	Classes     map[string]Class
	RuncBinary  string
	RunscBinary string

	// RuncRoot is where runc and its like keep what runs, which holds the
	// environment of the servers: it belongs on a memory file system
	// [DefaultRuncRoot].
	RuncRoot string

	// RequireClass refuses every Spec of another class, except that an empty
	// one becomes it. Empty: any class may be asked for.
	RequireClass string

	// ShareShims has the containers of one server and owner share one shim,
	// which saves memory and makes many starts at once faster. When that one
	// process is killed, all of its containers are.
	ShareShims bool

	// MaxInstances bounds how many instances there are at once; the start of
	// one more fails. 0: no bound.
	MaxInstances int

	// Egress decides on the connections of servers with a network.allow, and
	// is shared with other drivers; it stays the caller's. Nil: the driver
	// has its own, with the defaults.
	Egress *egress.Proxy

	// Keychain has the credentials for registries, such as
	// [authn.DefaultKeychain], which reads what `docker login` wrote. Nil:
	// none. Insecure lists registries (HOST or HOST:PORT) that are spoken to
	// without TLS. RoundTripper carries the requests to registries [one that
	// reads no environment, and so knows no proxy].
	Keychain     authn.Keychain
	Insecure     []string
	RoundTripper http.RoundTripper

	// SocketDir is where containerd puts the sockets of shims
	// ["/run/containerd/s"]: a socket is left there when a shim is killed,
	// and is removed by its path, which follows from the container.
	SocketDir string

	// Events is told of pulls, of connections (unless Egress is set), of
	// placeholders, and of what was removed for a dead gateway.
	Events runtime.Events

	// Logger gets the standard error of the servers, redacted, at the level
	// debug, and what goes wrong in the background. Nil: nothing is logged.
	Logger *slog.Logger

	// OnGarbage is told how many lines of a server's standard output were no
	// messages of the protocol. It must return fast.
	OnGarbage func(server string)
}

// Class is a runtime class: what runs the containers.
type Class struct {
	// Runtime is the name of the runtime in containerd
	// ["io.containerd.runc.v2"].
	Runtime string

	// Binary is the program that a shim of runc's kind calls: absolute, or a
	// name on the PATH of containerd. Args go before its own arguments; the
	// driver then writes a script below the state folder.
	Binary string
	Args   []string

	// Options are those of another runtime: a message that containerd's
	// typeurl knows. They exclude Binary and Args.
	Options any

	// UserKernel is true for a runtime that has a kernel of its own, such as
	// gVisor: it filters system calls itself, so that no seccomp profile is
	// made, and its threads count against the limit of processes.
	UserKernel bool
}

var (
	gvisor = Class{Binary: "runsc", Args: []string{"--platform=systrap", "--network=host"}, UserKernel: true}

	identifier = regexp.MustCompile(`^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$`)
)

// withDefaults returns a copy of o with the defaults filled in, and every
// fault of it.
func (o *Options) withDefaults() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	var errs []error
	fault := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("containerd.Options: "+format, args...))
	}
	def := func(field *string, v string) {
		if *field == "" {
			*field = v
		}
	}
	def(&c.Address, DefaultAddress)
	def(&c.Namespace, DefaultNamespace)
	def(&c.RuncRoot, DefaultRuncRoot)
	def(&c.SocketDir, "/run/containerd/s")
	def(&c.RuncBinary, "runc")
	def(&c.RunscBinary, gvisor.Binary)
	if !filepath.IsAbs(c.Address) {
		fault("Address %q is no absolute path", c.Address)
	}
	if !identifier.MatchString(c.Namespace) || len(c.Namespace) > 76 {
		fault("Namespace %q: a namespace of containerd has up to 76 letters, digits and single '.', '_' or '-' between them", c.Namespace)
	}
	if !filepath.IsAbs(c.RuncRoot) {
		fault("RuncRoot %q is no absolute path", c.RuncRoot)
	}
	if c.MaxInstances < 0 {
		fault("MaxInstances is %d; 0 is no bound", c.MaxInstances)
	}
	c.Insecure = slices.Clone(c.Insecure)
	classes := map[string]Class{"": {Binary: c.RuncBinary}}
	classes["gvisor"] = Class{Binary: c.RunscBinary, Args: gvisor.Args, UserKernel: true}
	for name, class := range c.Classes {
		if class.Options != nil && (class.Binary != "" || len(class.Args) > 0) {
			fault("Classes[%q]: Options exclude Binary and Args", name)
		}
		class.Args = slices.Clone(class.Args)
		classes[name] = class
	}
	for name, class := range classes {
		def(&class.Runtime, "io.containerd.runc.v2")
		if class.Options == nil && class.Runtime == "io.containerd.runc.v2" {
			def(&class.Binary, c.RuncBinary)
		}
		classes[name] = class
	}
	c.Classes = classes
	if _, ok := classes[c.RequireClass]; !ok {
		fault("RequireClass %q is none of Classes", c.RequireClass)
	}
	return c, errors.Join(errs...)
}
