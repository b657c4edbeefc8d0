package process

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	gruntime "github.com/gatehouse-mcp/gatehouse/runtime"
)

// DefaultPath is the PATH of a server where none is given.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment is what a server gets.
func (r *Runtime) environment(spec gruntime.Spec) map[string]string {
	env := systemEnvironment()
	if _, ok := r.o.Env["HOME"]; !ok {
		if h := home(); h != "" {
			env["HOME"] = h
		}
	}
	for name, v := range r.o.Env {
		if env[name] = v; v == "" {
			delete(env, name)
		}
	}
	for name, v := range spec.Env {
		env[name] = v.Reveal()
	}
	return env
}

// home asks the user database.
func home() string {
	u, err := user.LookupId(strconv.Itoa(os.Getuid()))
	if err != nil {
		return ""
	}
	return u.HomeDir
}

// list makes the form in which the system wants it, in a fixed order.
func list(env map[string]string) []string {
	out := make([]string, 0, len(env))
	for name, v := range env {
		out = append(out, name+"="+v)
	}
	slices.Sort(out)
	return out
}

func validName(name string) bool { return name != "" && !strings.ContainsAny(name, "=\x00") }

// lookup finds the file of a command as a shell does, in the PATH that the
// server will have. A name with a separator is relative to dir.
func lookup(name, dir, path string) (string, error) {
	if filepath.Base(name) != name {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return executable(name)
	}
	var unfit error
	for _, d := range filepath.SplitList(path) {
		if !filepath.IsAbs(d) {
			continue // the current directory is not searched
		}
		file, err := executable(filepath.Join(d, name))
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			unfit = cmp.Or(unfit, err)
		}
	}
	if unfit != nil {
		return "", unfit
	}
	return "", fmt.Errorf("no such command in the PATH %q: %w", path, fs.ErrNotExist)
}

// executable returns the file to execute, or why it cannot be.
func executable(file string) (string, error) {
	var first error
	for _, ext := range executableExtensions {
		s, err := os.Stat(file + ext)
		switch {
		case err != nil:
		case s.IsDir():
			err = fmt.Errorf("%s is a directory", file)
		case runtime.GOOS != "windows" && s.Mode()&0o111 == 0:
			err = fmt.Errorf("%s is not executable: %w", file, fs.ErrPermission)
		default:
			return file + ext, nil
		}
		first = cmp.Or(first, err)
	}
	return "", first
}
