// Package sandbox confines a local command, or the program of an unpacked
// image, without any daemon, on Linux: with namespaces, control groups, a
// filter of system calls and Landlock.
//
//	func main() {
//		sandbox.Init() // first; it does not return in the copies that the driver starts
//		rt, err := sandbox.New("/var/lib/gatehouse", nil)
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer rt.Close()
//		files := runtime.Of(rt, runtime.Spec{
//			Command: []string{"mcp-server-files", "/docs"},
//			Mounts:  []runtime.Mount{{Source: "/srv/docs", Target: "/docs"}},
//		})
//		…
//	}
//
// A server is started by a copy of this program: it builds the sandbox from
// within and stays as process 1 of it, to reap what is left and to tell how
// the server ended. That copy is what [Init] is for; Start fails with a
// sentence that says so where it was forgotten.
//
// # What a server sees
//
//   - /usr, /bin, /sbin and /lib*, read-only, and of /etc what programs need:
//     the linker's cache, certificates, alternatives, the time zone. The files
//     of users, hosts and name servers are made up.
//   - The folder of its own program, read-only. If that is a place that
//     others share, such as /tmp or a home folder, or a sensitive one, it sees
//     the file alone, and the links that lead to it; so it does everywhere but
//     below /opt, /nix/store and /snap with Spec.ProgramAlone, which a
//     [runtime.Ceiling] that bounds mounts sets. A program that needs more of
//     what lies around it, such as the modules of a virtual environment, has
//     a mount for that. A program in a sensitive place ([runtime.Sensitive]),
//     such as /root, is refused: move it, or mount its folder with force.
//   - Its mounts, with what is mounted below them, and its volumes.
//   - /tmp, private, of Limits.Tmp bytes, from which nothing can be executed;
//     it is HOME and the working directory where Spec.Dir is empty. A
//     /dev/shm of at most 16 MiB.
//   - A /proc of its own processes, and a /dev with null, zero, full, random,
//     urandom, tty and terminals of its own. No /sys.
//
// # Images
//
// Spec.Image may be the OCI layout of a folder, oci:PATH[:TAG][@DIGEST], whose content
// is checked against its digests and unpacked once, into the folder images of
// the state folder. The server sees its files, read-only, in the place of the
// system's; /proc, /dev, /tmp and the files of /etc for hosts and name servers
// are the sandbox's own. Its command, environment, folder and user are the
// image's where the Spec says nothing, but for the user root and its group. A
// mount into a folder of the image needs a target that is there.
//
// # What holds it
//
// It has an own mount, process, IPC, host name, network and control group
// namespace, no capabilities, no new privileges, the user of the Spec (else
// [runtime.DefaultUser]), its Limits by control groups of either version,
// Limits.Files by a resource limit, and no core dumps. Its system calls are
// an allow-list, modelled on containerd's default profile; a file that runs as
// its owner (setuid, setgid) cannot be made, and openat2, which takes a mode
// where no filter can see it, is answered as if the kernel did not know it.
// What is mounted runs nothing as its owner and has no devices. Where the kernel
// has Landlock, what is shown can be read, and only /tmp, /dev/shm and
// writable mounts can be written, which also keeps it from writing to /proc.
// It ends with the gateway, however that ends, and everything it started
// ends with it.
//
// What the kernel counts by user, such as instances and watches of inotify,
// pending signals, message queues and locked memory, servers of the same
// user share: one that takes all of them keeps the others from having any.
// Give those that must not disturb each other a Spec.User each.
//
// When any process of a sandbox is killed for memory, all of it ends, and the
// exit says so: a server without one of its processes is of no use that
// anybody could rely on.
//
// The process 1 takes a few megabytes of the memory limit; its threads are
// not counted against the limit of processes.
//
// Without root the driver uses a user namespace, in which the server runs as
// the gateway's user, so that only that user can be asked for. Limits then
// need a control group that was delegated to the user. What cannot be held is
// refused with [runtime.ErrCannotEnforce]: a class, a writable root, and
// without root another user, an allow-list of the network and the size of a
// volume.
//
// # Environment
//
// A server gets the Env of its Spec, that of its image, PATH [DefaultPath] and
// HOME "/tmp" where those do not have them, the variables of its proxy where
// its network has an allow-list, and nothing of the gateway's environment.
//
// # Secrets
//
// What Spec.Secrets names is there as environment variables and files. A secret
// that is bound to hosts is a placeholder in both, of which runtime/inject and
// the proxy make the value on the way out; it is in no memory, file or variable
// of the sandbox, its process 1 included. A secret in a file is in memory, in
// a file system of its own that no swap gets (Linux 6.3, and root), mode 0400,
// and belongs to the server's user; its folder is made, unless it lies in what
// is shown of the system or of an image, where the file must be there already.
// Below /run, which is none of an image's then, there is always room. When the
// secret is rotated, the file is written anew within a minute, in place.
//
// A server with a secret that is bound to hosts also trusts the authority of
// its gate, which is for the names of those hosts alone: the file of the
// system's authorities, or of its image's, is shown with it, and SSL_CERT_FILE,
// NODE_EXTRA_CA_CERTS, REQUESTS_CA_BUNDLE, PIP_CERT, CURL_CA_BUNDLE,
// GIT_SSL_CAINFO, AWS_CA_BUNDLE, DENO_CERT and CARGO_HTTP_CAINFO name such a
// file unless the Spec has them. An image without authorities gets that one
// alone. Programs with a store of their own, such as Java's, must be told by
// other means.
//
// There are no core dumps, not even for a program that core_pattern names; one
// that goes to a socket has no memory in it.
//
// # Volumes
//
// A named volume is the folder volumes/SERVER/OWNER/NAME of the state folder,
// owned by the user of the server. It has as much room as the disk.
//
// One with a size is a file system of its own, ext4 in the sparse file
// volumes/SERVER/OWNER/@NAME/image, which its servers see one and the same.
// A full one refuses more and leaves others alone. The size includes what the
// file system needs, some 6 MiB of a small one. While nobody uses the volume it
// can be raised, to 1 TiB or, if that is more, 1024 times what it was at first;
// it cannot be lowered. It needs root, loop devices, and the package e2fsprogs.
// Room on the disk is not set aside for it: when that is full, writes to
// volumes fail.
//
// # Standard error
//
// As in the package process: the last 20 lines are kept, and secrets in them
// are redacted.
package sandbox
