package process

import (
	"bytes"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

func guarantee() string {
	if canWatch.Load() {
		return "killed with everything it started, detached or not, by Stop and when the gateway ends or is killed (a watcher that adopts orphans)"
	}
	return "killed with its process group and descendants by Stop, and alone when the gateway is killed, which leaves what it started (the program does not call process.Init)"
}

// executablePath is this program, even if its file was replaced meanwhile.
func executablePath() (string, error) { return "/proc/self/exe", nil }

// adopt makes orphans among the descendants children of this process.
func adopt() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// childAttributes: a session of its own, and the end together with us.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

func redirect(from, to int) error { return unix.Dup3(from, to, 0) }

// killDescendants kills everything that descends from this process. It
// reports false: what is left shows as children.
func killDescendants(int, bool) bool {
	for _, pid := range descendants(os.Getpid()) {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	return false
}

// process is a line of the table of processes.
type process struct {
	pid, parent, group int
	dead               bool // and not reaped
}

// processes reads /proc.
func processes() []process {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	names, _ := dir.Readdirnames(-1)
	_ = dir.Close()
	var out []process
	for _, name := range names {
		var p process
		if p.pid, err = strconv.Atoi(name); err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue // it has ended
		}
		// The name of the program, in brackets, may hold anything.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 3 {
			continue
		}
		p.dead = fields[0][0] == 'Z' || fields[0][0] == 'X'
		p.parent, _ = strconv.Atoi(string(fields[1]))
		p.group, _ = strconv.Atoi(string(fields[2]))
		out = append(out, p)
	}
	return out
}

// descendants returns the processes below pid.
func descendants(pid int) []int {
	children := make(map[int][]int)
	for _, p := range processes() {
		children[p.parent] = append(children[p.parent], p.pid)
	}
	var out []int
	for todo := []int{pid}; len(todo) > 0; todo = todo[1:] {
		out = append(out, children[todo[0]]...)
		todo = append(todo, children[todo[0]]...)
	}
	return out
}

// killGroup kills what can be found of a command without a watcher.
func killGroup(pid int) {
	below := descendants(pid) // before they become orphans
	_ = unix.Kill(-pid, unix.SIGKILL)
	for _, p := range below {
		_ = unix.Kill(p, unix.SIGKILL)
	}
}

// groupLives reports whether anybody of a process group runs.
func groupLives(group int) bool {
	for _, p := range processes() {
		if p.group == group && !p.dead {
			return true
		}
	}
	return false
}
