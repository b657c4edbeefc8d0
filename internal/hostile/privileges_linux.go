package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// identity says who this process is.
func identity(arguments) (string, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "", err
	}
	rights := ""
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "CapEff:") {
			rights = strings.TrimSpace(strings.TrimPrefix(line, "CapEff:"))
		}
	}
	return fmt.Sprintf("user %d, group %d, rights %s", os.Geteuid(), os.Getegid(), rights), nil
}

// privileged runs a program that its file gives more rights: set-user-ID root,
// or capabilities.
func privileged(a arguments) (string, error) {
	out, err := exec.Command(a["path"], "identity").CombinedOutput()
	got := strings.TrimSpace(string(out))
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, got)
	}
	mine, err := identity(nil)
	if err == nil && got == mine {
		err = errors.New("still " + got)
	}
	return got, err
}

func becomeRoot(a arguments) (string, error) {
	var err error
	switch a["how"] {
	case "setuid":
		err = syscall.Setuid(0)
	case "setresuid":
		err = syscall.Setresuid(0, 0, 0)
	case "setgid":
		err = syscall.Setgid(0)
	case "setgroups":
		err = syscall.Setgroups([]int{0})
	default:
		return "", errors.New("there is no such way")
	}
	return fmt.Sprintf("user %d, group %d", os.Getuid(), os.Getgid()), err
}

func capset(a arguments) (string, error) {
	runtime.LockOSThread()
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	switch a["how"] {
	case "effective":
		all := [2]unix.CapUserData{{Effective: 1 << unix.CAP_SYS_ADMIN, Permitted: 1 << unix.CAP_SYS_ADMIN}}
		return "taken", unix.Capset(&head, &all[0])
	case "inheritable":
		all := [2]unix.CapUserData{{Inheritable: 1 << unix.CAP_SYS_ADMIN}}
		return "taken", unix.Capset(&head, &all[0])
	case "ambient":
		return "taken", unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, unix.CAP_SYS_ADMIN, 0, 0)
	case "privileges":
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil {
			return "", err
		}
		return "new privileges are possible", nil
	}
	return "", errors.New("there is no such way")
}

func spaces() map[string]int {
	return map[string]int{
		"user": unix.CLONE_NEWUSER, "mount": unix.CLONE_NEWNS, "net": unix.CLONE_NEWNET, "pid": unix.CLONE_NEWPID,
		"ipc": unix.CLONE_NEWIPC, "uts": unix.CLONE_NEWUTS, "cgroup": unix.CLONE_NEWCGROUP, "time": unix.CLONE_NEWTIME,
	}
}

func unshare(a arguments) (string, error) {
	runtime.LockOSThread() // the thread ends with the process
	if a["kind"] == "user" {
		// A process with threads cannot: what it starts can.
		return clone(a)
	}
	return "made", unix.Unshare(spaces()[a["kind"]])
}

func clone(a arguments) (string, error) {
	c := exec.Command("/proc/self/exe", "nothing")
	flags := uintptr(spaces()[a["kind"]])
	if a["kind"] == "time" {
		return "", errors.New("clone has no such flag")
	}
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	return "started", c.Run()
}

func setns(a arguments) (string, error) {
	runtime.LockOSThread()
	fd, err := unix.Open(a["path"], unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return "entered", unix.Setns(fd, 0)
}

// private makes a mount namespace for a control that may mount.
func private(a arguments) error {
	runtime.LockOSThread()
	if a["private"] == "" {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
}

func mount(a arguments) (string, error) {
	if err := private(a); err != nil {
		return "", err
	}
	var err error
	switch a["kind"] {
	case "tmpfs", "proc", "sysfs", "devpts", "cgroup", "cgroup2", "overlay":
		o := ""
		if a["kind"] == "overlay" {
			o = "lowerdir=/etc:/dev"
		}
		err = unix.Mount("none", "/tmp", a["kind"], 0, o)
	case "bind":
		err = unix.Mount("/", "/tmp", "", unix.MS_BIND|unix.MS_REC, "")
	case "move":
		err = unix.Mount("/proc", "/tmp", "", unix.MS_MOVE, "")
	case "remount":
		err = unix.Mount("", "/proc", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_NOSUID, "")
	case "propagate":
		err = unix.Mount("", "/", "", unix.MS_SHARED, "")
	case "umount":
		err = unix.Unmount("/proc", unix.MNT_DETACH)
	case "unmask":
		err = unix.Unmount("/proc/kcore", unix.MNT_DETACH)
	case "fsopen":
		_, err = unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	case "open_tree":
		_, err = unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	case "setattr":
		err = unix.MountSetattr(unix.AT_FDCWD, "/proc", 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
	default:
		err = errors.New("there is no such kind")
	}
	return "mounted", err
}

func remount(a arguments) (string, error) {
	c := exec.Command("/proc/self/exe", "remounted", a["path"])
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := c.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return string(out), nil
}

// remounted is what remount starts.
func remounted(path string) error {
	remounting := unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND, "")
	writing := os.WriteFile(filepath.Join(path, "remounted"), []byte("x"), 0o666)
	if writing != nil {
		return errors.Join(remounting, writing)
	}
	fmt.Println("written")
	return nil
}

func chroot(a arguments) (string, error) {
	if err := private(a); err != nil {
		return "", err
	}
	switch a["how"] {
	case "chroot":
		return "changed", unix.Chroot("/tmp")
	case "pivot_root":
		if a["private"] != "" {
			if err := unix.Mount("none", "/tmp", "tmpfs", 0, ""); err != nil {
				return "", err
			}
		}
		if err := unix.Chdir("/tmp"); err != nil {
			return "", err
		}
		return "changed", unix.PivotRoot(".", ".")
	}
	return "", errors.New("there is no such way")
}

// escalate does what makes others suffer first.
func escalate(a arguments) (string, error) {
	switch a["how"] {
	case "oom":
		return "it is killed last", os.WriteFile("/proc/self/oom_score_adj", []byte("-999"), 0)
	case "files":
		var l syscall.Rlimit
		if err := syscall.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
			return "", err
		}
		l.Cur, l.Max = l.Max+1, l.Max+1
		return "raised", syscall.Setrlimit(unix.RLIMIT_NOFILE, &l)
	}
	return "", errors.New("there is no such way")
}
