//go:build unix && !linux

package process

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func guarantee() string {
	if canWatch.Load() {
		return "killed with its process group by Stop and when the gateway ends or is killed (a watcher); what detaches itself from the group stays"
	}
	return "killed with its process group by Stop; left behind when the gateway is killed (the program does not call process.Init)"
}

func executablePath() (string, error) { return os.Executable() }

// adopt does nothing: there are no subreapers here.
func adopt() error { return nil }

func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

func redirect(from, to int) error { return unix.Dup2(from, to) }

// killDescendants kills the group of the command, and reports whether there
// was one.
func killDescendants(command int, _ bool) bool {
	return unix.Kill(-command, unix.SIGKILL) == nil
}

// killGroup kills what can be found of a command without a watcher.
func killGroup(pid int) { _ = unix.Kill(-pid, unix.SIGKILL) }

// groupLives reports whether anybody of a process group is there.
func groupLives(group int) bool { return unix.Kill(-group, 0) == nil }
