package inject

import (
	"errors"
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
)

// Check tells what is wrong with the secrets of a Spec, all faults at once. It
// resolves nothing.
func Check(spec runtime.Spec) error {
	var errs []error
	allowed, err := egress.ParseRules(spec.Network.Allow)
	if err != nil {
		return nil // the driver tells
	}
	vars, files := map[string]bool{}, map[string]bool{}
	for name := range spec.Env {
		vars[name] = true
	}
	for n, u := range spec.Secrets {
		fault := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("secret %s: %w", u.Name, fmt.Errorf(format, args...)))
		}
		if u.Name == "" {
			errs = append(errs, fmt.Errorf("secrets[%d] has no name", n))
			continue
		}
		if u.Env == "" && u.File == "" {
			fault("the server is not given it: name an env or a file")
		}
		if strings.ContainsAny(u.Env, "=\x00") {
			fault("%q is no name of an environment variable", u.Env)
		}
		if u.Env != "" && vars[u.Env] {
			fault("the environment variable %s is set twice", u.Env)
		}
		if u.File != "" && files[u.File] {
			fault("the file %s is made twice", u.File)
		}
		vars[u.Env], files[u.File] = true, true
		if u.File != "" {
			if err := checkFile(u.File, spec.Mounts); err != nil {
				fault("%w", err)
			}
		}
		if _, _, err := shape(u.Placeholder); err != nil {
			fault("%w", err)
		} else if u.Placeholder != "" && len(u.Hosts) == 0 {
			fault("a placeholder is for secrets with hosts")
		}
		for _, h := range u.Hosts {
			p, err := parsePlace(h)
			switch {
			case err != nil:
				fault("host %s: %w", h.Host, err)
			case !allowed.Covers(p.rule):
				fault("it is bound to %s, which the server cannot reach; add the line network: {allow: [%q]}", p.rule, p.rule.String())
			}
		}
	}
	return errors.Join(errs...)
}

// checkFile refuses what no file can be made at.
func checkFile(file string, mounts []runtime.Mount) error {
	if !path.IsAbs(file) || path.Clean(file) != file || file == "/" || strings.ContainsRune(file, 0) {
		return fmt.Errorf("the file %q is no absolute path in its shortest form", file)
	}
	for _, own := range []string{"/proc", "/sys", "/dev"} {
		if within(file, own) {
			return fmt.Errorf("the file %s lies in %s; choose another place, such as /run/secrets/%s", file, own, path.Base(file))
		}
	}
	for _, m := range mounts {
		if target := path.Clean(m.Target); within(file, target) || within(target, file) {
			return fmt.Errorf("the file %s and the mount at %s are in each other's way", file, m.Target)
		}
	}
	return nil
}

func within(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }

// place is where in which requests a value takes the place of its placeholder.
type place struct {
	rule    egress.Rule
	port    uint16 // of the rule
	header  string // in its normal form; empty: none of the headers
	basic   bool
	query   string
	form    string
	methods []string
	paths   []string
}

// reserved are headers that say how a request is carried, or that a proxy takes
// out.
var reserved = []string{
	"Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host", "Keep-Alive",
	"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Range", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

func parsePlace(h runtime.SecretHost) (p place, err error) {
	entry := h.Host
	if !strings.Contains(entry, ":") {
		entry += ":443"
	}
	if p.rule, err = egress.ParseRule(entry); err != nil {
		return p, err
	}
	if !p.rule.Named() {
		return p, errors.New("a secret is bound to a name, or to *.suffix, and to one port")
	}
	_, port, _ := net.SplitHostPort(p.rule.String())
	n, _ := strconv.ParseUint(port, 10, 16) // a rule with one port has it
	p.port = uint16(n)
	p.basic, p.query, p.form = h.Basic, h.Query, h.Form
	places := 0
	for _, set := range []bool{h.Header != "", h.Basic, h.Query != "", h.Form != ""} {
		if set {
			places++
		}
	}
	switch {
	case places > 1:
		return p, errors.New("header, basic, query and form exclude each other; list the host once for each")
	case places == 0:
		p.header = "Authorization"
	case h.Header != "":
		if p.header = canonical(h.Header); p.header == "" || slices.Contains(reserved, p.header) {
			return p, fmt.Errorf("no secret can be in the header %q", h.Header)
		}
	}
	for _, m := range h.Methods {
		if canonical(m) == "" || m != strings.ToUpper(m) {
			return p, fmt.Errorf("%q is no method; methods are in capitals, such as GET", m)
		}
	}
	for _, t := range h.Paths {
		if !strings.HasPrefix(t, "/") || strings.Contains(strings.TrimSuffix(t, "*"), "*") || unclear(t) {
			return p, fmt.Errorf("%q is no path: it begins with / and may end with *", t)
		}
	}
	p.methods, p.paths = slices.Clone(h.Methods), slices.Clone(h.Paths)
	return p, nil
}

// Of a placeholder: its default, the bounds of its random part, and what is
// allowed before that.
const (
	defaultShape = "ghplaceholder_{32}"
	fewest, most = 22, 128 // 22 are 130 bits
	longestHead  = 64
	letters      = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// shape reads what a placeholder looks like.
func shape(s string) (head string, n int, err error) {
	if s == "" {
		s = defaultShape
	}
	head, n = s, 32
	if before, count, ok := strings.Cut(s, "{"); ok {
		number, closed := strings.CutSuffix(count, "}")
		if n, err = strconv.Atoi(number); err != nil || !closed || n < fewest || n > most {
			return "", 0, fmt.Errorf("the placeholder %q ends with {N} for %d to %d random letters, such as %s", s, fewest, most, defaultShape)
		}
		head = before
	}
	if len(head) > longestHead || strings.Trim(head, letters+"-_.") != "" {
		return "", 0, fmt.Errorf("the placeholder %q begins with up to %d letters, digits, dots, hyphens and underscores", s, longestHead)
	}
	return head, n, nil
}
