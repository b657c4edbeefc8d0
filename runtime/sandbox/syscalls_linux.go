package sandbox

import (
	"strings"

	"golang.org/x/sys/unix"
)

// allowed are the system calls that need no look at their arguments: what
// containerd's default profile allows without any capability, as of version
// 2.4, less fanotify_mark, which is of no use alone. What an architecture
// does not have is left out for it.
var allowed = strings.Fields(`
accept accept4 access adjtimex alarm arch_prctl arm_fadvise64_64 arm_sync_file_range
bind breakpoint brk
cacheflush cachestat capget capset chdir chown clock_adjtime clock_getres clock_gettime
clock_nanosleep close close_range connect copy_file_range
dup dup2 dup3
epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old
eventfd eventfd2 execve execveat exit exit_group
faccessat faccessat2 fadvise64 fallocate fchdir fchown fchownat fcntl
fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstatfs fsync ftruncate
futex futex_requeue futex_wait futex_waitv futex_wake futimesat
get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid geteuid getgid getgroups
getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid
getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getxattr getxattrat
inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents
io_pgetevents io_setup io_submit ioprio_get ioprio_set
kill
landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lgetxattr link linkat listen
listmount listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lsm_get_self_attr
lsm_list_modules lsm_set_self_attr lstat
madvise map_shadow_stack membarrier memfd_create memfd_secret mincore
mlock mlock2 mlockall mmap modify_ldt mprotect mq_getsetattr mq_notify mq_open mq_timedreceive
mq_timedsend mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap
name_to_handle_at nanosleep newfstatat
pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll prctl
pread64 preadv preadv2 prlimit64 process_mrelease process_vm_readv process_vm_writev pselect6 ptrace
pwrite64 pwritev pwritev2
read readahead readlink readlinkat readv recvfrom recvmmsg recvmsg remap_file_pages removexattr
removexattrat rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending
rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo
sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam
sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop sendfile sendmmsg
sendmsg sendto set_robust_list set_thread_area set_tid_address set_tls setfsgid setfsuid setgid
setgroups setitimer setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid
setsockopt setuid setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd
signalfd4 splice stat statfs statmount statx symlink symlinkat sync sync_file_range
sync_file_range2 syncfs sysinfo
tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_settime
timerfd_create timerfd_gettime timerfd_settime times tkill truncate
umask uname unlink unlinkat uretprobe utime utimensat utimes
vfork vmsplice
wait4 waitid write writev
`)

// Socket types and the requests of terminals, the same on all architectures
// of the filter. TIOCSTI types on somebody's terminal, TIOCLINUX pastes.
const (
	streamBit, datagramBit, otherTypes = 1, 2, 0xc
	tiocsti, tioclinux                 = 0x5412, 0x541c
)

// personalities are those that change nothing of the security of a process.
var personalities = []uint32{0, 0x8, 0x20000, 0x20008, 0xffffffff}

// modes are the calls that give a file its mode, by the places of their
// arguments. Bits that make a program run as its owner (setuid, setgid) would
// stand on the host afterwards, in what is mounted writable.
var modes = []struct {
	name        string
	mode, flags uint32 // flags: 0 where there are none
}{
	{"chmod", 1, 0}, {"fchmod", 1, 0}, {"fchmodat", 2, 0}, {"fchmodat2", 2, 0},
	{"creat", 1, 0}, {"open", 2, 1}, {"openat", 3, 2},
	{"mkdir", 1, 0}, {"mkdirat", 2, 0}, {"mknod", 1, 0}, {"mknodat", 2, 0},
}

// makingFlags are those of open by which it has a mode: O_CREAT, and the part
// of O_TMPFILE that is its own.
const makingFlags = unix.O_CREAT | 0x400000

// indirect are calls that take what counts from memory, where no filter can
// look; the C libraries do without them.
var indirect = []string{"clone3", "openat2"}
