package cgroup

import (
	"bufio"
	"bytes"
	"path"
	"slices"
	"strings"
)

// mount is a mounted hierarchy.
type mount struct {
	v2     bool
	root   string   // what of the hierarchy is mounted
	point  string   // where
	option []string // v1: its controllers, among others
}

// mounts reads the hierarchies from a mountinfo, see proc_pid_mountinfo(5).
func mounts(mountinfo []byte) []mount {
	var all []mount
	for sc := bufio.NewScanner(bytes.NewReader(mountinfo)); sc.Scan(); {
		before, after, ok := strings.Cut(sc.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 3 || right[0] != "cgroup" && right[0] != "cgroup2" {
			continue
		}
		all = append(all, mount{
			v2: right[0] == "cgroup2", root: unescape(left[3]), point: unescape(left[4]),
			option: strings.Split(right[2], ","),
		})
	}
	return all
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// own reads the groups of a process from its /proc/PID/cgroup: by controller,
// and "" for version 2.
func own(cgroup []byte) map[string]string {
	groups := map[string]string{}
	for sc := bufio.NewScanner(bytes.NewReader(cgroup)); sc.Scan(); {
		parts := strings.SplitN(sc.Text(), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for _, c := range strings.Split(parts[1], ",") {
			groups[c] = parts[2]
		}
	}
	return groups
}

// folder is where a group shows below a mount; false when it does not.
func (m mount) folder(group string) (string, bool) {
	if strings.HasPrefix(group, "/..") {
		return "", false // outside of our cgroup namespace
	}
	if m.root == "/" {
		return path.Join(m.point, group), true
	}
	rel, ok := strings.CutPrefix(group, m.root)
	if !ok || rel != "" && rel[0] != '/' {
		return "", false
	}
	return path.Join(m.point, rel), true
}

// has tells whether a mount of version 1 has a controller.
func (m mount) has(controller string) bool { return !m.v2 && slices.Contains(m.option, controller) }
