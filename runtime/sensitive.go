package runtime

import (
	"path"
	"slices"
)

// sensitive are the places of the host whose content is a way to take it
// over, or other people's secrets. The list follows what the runtimes of
// containers, sudo, systemd and OpenSSH read.
var sensitive = []string{
	"/boot", "/dev", "/etc", "/lib/modules", "/proc", "/root", "/run", "/sys",
	"/usr/lib/modules", "/usr/lib/systemd", "/var/lib/containerd", "/var/lib/docker",
	"/var/lib/kubelet", "/var/log", "/var/run", "/var/spool/cron",
}

// ofMany are folders that are sensitive as a whole, and not what lies in
// them: the homes of all, and where the sockets of agents are.
var ofMany = []string{"/home", "/tmp"}

// hidden are names that are sensitive wherever they stand.
var hidden = []string{
	".aws", ".azure", ".bash_history", ".cargo/credentials.toml", ".config/chromium",
	".config/containers", ".config/gcloud", ".config/gh", ".config/google-chrome",
	".config/op", ".docker", ".git-credentials", ".gnupg", ".kube",
	".local/share/keyrings", ".mozilla", ".netrc", ".npmrc", ".password-store",
	".pypirc", ".ssh", ".vault-token", ".zsh_history",
	"containerd.sock", "docker.sock", "podman.sock",
}

// Sensitive says why a path of the host must not be mounted unless the mount
// is forced; empty when it may be. The path is one without symbolic links. A
// folder that holds a sensitive place is as sensitive as that: "/" is, and so
// is a home folder that holds .ssh, which only the driver, who sees the
// folder, can tell (see [HiddenNames]).
//
// Sensitive are: the root and its folders /boot, /dev, /etc, /proc, /root,
// /run, /sys, /var/run, /var/log, kernel modules, systemd's units, cron's
// tables, the folders of containerd, Docker and the kubelet, the sockets of
// container engines, the folders and files in which people, their browsers and
// their tools keep keys, tokens and what was typed, such as .ssh, .aws, .kube,
// .mozilla and .netrc; and /home and /tmp themselves, but nothing below them
// for that.
func Sensitive(p string) string {
	p = path.Clean(p)
	for _, s := range sensitive {
		switch {
		case within(p, s):
			return s + " is a sensitive place"
		case within(s, p):
			return "it holds " + s + ", a sensitive place"
		}
	}
	if slices.Contains(ofMany, p) {
		return p + " is a sensitive place as a whole; name a folder below it"
	}
	for d := p; d != "/" && d != "."; d = path.Dir(d) {
		for _, h := range hidden {
			if ends(d, h) {
				return h + " is a sensitive place"
			}
		}
	}
	return ""
}

// HiddenNames lists the names, relative to a folder, that make a folder
// holding them sensitive.
func HiddenNames() []string { return append([]string(nil), hidden...) }

// ends reports whether a path ends with the elements of tail.
func ends(p, tail string) bool {
	return p == "/"+tail || len(p) > len(tail) && p[len(p)-len(tail)-1] == '/' && p[len(p)-len(tail):] == tail
}
