package main

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kinds of sockets that reach past the network of a namespace, or are large
// and seldom used parts of the kernel.
func kinds() map[string][3]int {
	return map[string][3]int{
		"packet":    {unix.AF_PACKET, unix.SOCK_RAW, 0x300},
		"raw":       {unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP},
		"raw6":      {unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6},
		"vsock":     {unix.AF_VSOCK, unix.SOCK_STREAM, 0},
		"alg":       {unix.AF_ALG, unix.SOCK_SEQPACKET, 0},
		"netfilter": {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER},
		"audit":     {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT},
		"key":       {unix.AF_KEY, unix.SOCK_RAW, 2},
		"bluetooth": {unix.AF_BLUETOOTH, unix.SOCK_RAW, 1},
		"can":       {unix.AF_CAN, unix.SOCK_RAW, 1},
		"xdp":       {unix.AF_XDP, unix.SOCK_RAW, 0},
		"tipc":      {unix.AF_TIPC, unix.SOCK_STREAM, 0},
	}
}

func socket(a arguments) (string, error) {
	k, ok := kinds()[a["kind"]]
	if !ok {
		return "", errors.New("there is no such kind")
	}
	fd, err := unix.Socket(k[0], k[1], k[2])
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	if a["kind"] != "netfilter" {
		return "open", nil
	}
	// That socket may be open to all; what counts is whether it changes rules.
	return "rules could be changed", addTable(fd)
}

// addTable asks nftables for a new table.
func addTable(fd int) error {
	header := func(kind, flags uint16, payload []byte) []byte {
		b := make([]byte, 16+len(payload))
		*(*uint32)(unsafe.Pointer(&b[0])) = uint32(len(b))
		*(*uint16)(unsafe.Pointer(&b[4])) = kind
		*(*uint16)(unsafe.Pointer(&b[6])) = flags
		copy(b[16:], payload)
		return b
	}
	batch := []byte{unix.AF_UNSPEC, 0, 0, unix.NFNL_SUBSYS_NFTABLES}
	name := []byte{12, 0, 1, 0, 'h', 'o', 's', 't', 'i', 'l', 'e', 0} // NFTA_TABLE_NAME
	const request, ack, create = 1, 4, 0x400
	b := header(unix.NFNL_MSG_BATCH_BEGIN, request, batch)
	b = append(b, header(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWTABLE, request|ack|create, append([]byte{unix.NFPROTO_INET, 0, 0, 0}, name...))...)
	b = append(b, header(unix.NFNL_MSG_BATCH_END, request, batch)...)
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2})
	reply := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, reply, 0)
	if err != nil {
		return err
	}
	if n < 20 {
		return fmt.Errorf("an answer of %d bytes", n)
	}
	if errno := *(*int32)(unsafe.Pointer(&reply[16])); errno != 0 {
		return unix.Errno(-errno)
	}
	return nil
}

// What calls point to. It must not be moved.
var (
	room   [256]byte
	name   = [...]byte{'h', 0}
	events = unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Size: unix.PERF_ATTR_SIZE_VER0, Config: unix.PERF_COUNT_SW_CPU_CLOCK}
)

// calls are system calls that only a master may make, or that are too large a
// target. The arguments do no harm where they are allowed: those that could do
// some fail for another reason than a right that is missing.
func calls() map[string]func() error {
	raw := func(trap uintptr, a ...uintptr) func() error {
		return func() error {
			var args [6]uintptr
			copy(args[:], a)
			_, _, e := unix.Syscall6(trap, args[0], args[1], args[2], args[3], args[4], args[5])
			if e != 0 {
				return e
			}
			return nil
		}
	}
	// reason counts what is no lack of a right as success: the kernel has let
	// the caller in.
	reason := func(f func() error, let ...unix.Errno) func() error {
		return func() error {
			err := f()
			for _, e := range let {
				if err == e {
					return nil
				}
			}
			return err
		}
	}
	p, n := uintptr(unsafe.Pointer(&room[0])), uintptr(unsafe.Pointer(&name[0]))
	none := ^uintptr(0) // a descriptor that is none
	return map[string]func() error{
		"init_module":       reason(raw(unix.SYS_INIT_MODULE, 0, 0, n), unix.EFAULT, unix.EINVAL, unix.ENOEXEC),
		"finit_module":      reason(raw(unix.SYS_FINIT_MODULE, none, n, 0), unix.EBADF),
		"delete_module":     reason(raw(unix.SYS_DELETE_MODULE, n, unix.O_NONBLOCK), unix.ENOENT),
		"bpf":               reason(raw(unix.SYS_BPF, unix.BPF_MAP_CREATE, p, 72), unix.EINVAL),
		"kexec_load":        reason(raw(unix.SYS_KEXEC_LOAD, 0, 1<<20, p, 0), unix.EINVAL),
		"kexec_file_load":   reason(raw(unix.SYS_KEXEC_FILE_LOAD, none, none, 0, 0, 0x1000), unix.EINVAL, unix.EBADF),
		"keyctl":            raw(unix.SYS_KEYCTL, unix.KEYCTL_GET_KEYRING_ID, uintptr(0xfffffffc), 1),
		"add_key":           reason(raw(unix.SYS_ADD_KEY, n, n, 0, 0, uintptr(0xfffffffe)), unix.ENODEV, unix.EINVAL),
		"request_key":       reason(raw(unix.SYS_REQUEST_KEY, n, n, 0, 0), unix.ENOKEY, unix.ENODEV, unix.EINVAL),
		"io_uring_setup":    raw(unix.SYS_IO_URING_SETUP, 1, p),
		"userfaultfd":       raw(unix.SYS_USERFAULTFD, 0),
		"perf_event_open":   raw(unix.SYS_PERF_EVENT_OPEN, uintptr(unsafe.Pointer(&events)), 0, none, none, 0),
		"syslog":            raw(unix.SYS_SYSLOG, 3, p, uintptr(len(room))),
		"reboot":            reason(raw(unix.SYS_REBOOT, 0, 0, 0, 0), unix.EINVAL), // without its magic
		"swapon":            reason(raw(unix.SYS_SWAPON, n, 0), unix.ENOENT, unix.EINVAL),
		"acct":              reason(raw(unix.SYS_ACCT, n), unix.ENOENT),
		"settimeofday":      reason(raw(unix.SYS_SETTIMEOFDAY, 1, 0), unix.EFAULT),
		"clock_settime":     reason(raw(unix.SYS_CLOCK_SETTIME, 0, 0), unix.EFAULT),
		"open_by_handle_at": reason(raw(unix.SYS_OPEN_BY_HANDLE_AT, none, p, 0), unix.EBADF, unix.EINVAL),
		"fanotify_init":     raw(unix.SYS_FANOTIFY_INIT, 0, 0),
		"quotactl":          reason(raw(unix.SYS_QUOTACTL, 0x80000100, n, 0, p), unix.ENOENT, unix.EINVAL, unix.ENOTBLK, unix.ENODEV),
		"sethostname":       reason(raw(unix.SYS_SETHOSTNAME, 1, 4), unix.EFAULT),
		"setdomainname":     reason(raw(unix.SYS_SETDOMAINNAME, 1, 4), unix.EFAULT),
		"clone3":            reason(raw(unix.SYS_CLONE3, p, 0), unix.EINVAL), // whose flags no filter can see
		"kcmp":              raw(unix.SYS_KCMP, uintptr(unix.Getpid()), uintptr(unix.Getpid()), 2, 0, 0),
		"mknod":             func() error { return unix.Mknod("/tmp/hostile-device", unix.S_IFBLK|0o600, int(unix.Mkdev(1, 0))) },
		"nice":              func() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, -10) },
		"realtime":          realtime,
	}
}

func call(a arguments) (string, error) {
	f, ok := calls()[a["name"]]
	if !ok {
		return "", errors.New("there is no such call")
	}
	if err := f(); err != nil {
		return "", err
	}
	if a["name"] == "mknod" {
		_ = unix.Unlink("/tmp/hostile-device")
	}
	return "it was let in", nil
}

// realtime asks to run before everybody else.
func realtime() error {
	priority := int32(1)
	const fifo = 1
	_, _, e := unix.Syscall(unix.SYS_SCHED_SETSCHEDULER, 0, fifo, uintptr(unsafe.Pointer(&priority)))
	if e != 0 {
		return e
	}
	return nil
}
