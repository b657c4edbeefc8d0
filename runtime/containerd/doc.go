// Package containerd runs each server in a container of its own, by a
// containerd daemon (version 2) of the same machine.
//
//	rt, err := containerd.New("/var/lib/gatehouse", &containerd.Options{
//		Keychain: authn.DefaultKeychain,
//	})
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer rt.Close()
//	if _, err := rt.Reap(ctx); err != nil { // what killed gateways have left
//		log.Print(err)
//	}
//	files := runtime.Of(rt, runtime.Spec{
//		Image:  "docker.io/mcp/filesystem@sha256:…",
//		Args:   []string{"/docs"},
//		Mounts: []runtime.Mount{{Source: "/srv/docs", Target: "/docs"}},
//	})
//
// It needs root on Linux, and containerd in the same PID namespace. While
// containerd is away, starts fail and name its address; the driver connects
// again by itself. A Spec that is Unconfined or has no image is refused with
// [runtime.ErrCannotEnforce].
//
// # What holds a server
//
//   - Own PID, IPC, UTS, mount, network and cgroup namespaces.
//   - Limits by control groups, of either version: CPU, memory without swap,
//     processes. When any process of it is killed for memory, all of it is,
//     and the reason says so.
//   - No capabilities, no new privileges, containerd's default filter of
//     system calls for the machine's own architecture (32-bit programs do not
//     run), masked and read-only places of /proc and /sys, no core dumps,
//     Limits.Files descriptors, an OOM score 500 above the gateway's.
//   - A read-only root. It can write to /tmp, of Limits.Tmp bytes, and to
//     /dev/shm, of at most 16 MiB; both count as memory, and from neither can
//     anything be executed. There is no /run.
//   - No network but its own loopback, or with a network.allow the way out
//     through runtime/egress, with its resolver in /etc/resolv.conf and the
//     variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
//
// # Who it runs as
//
// Spec.User, as numbers; without a group the group's number is the user's. Else
// the image's own user and its groups, but neither root nor in root's group;
// else [runtime.DefaultUser], with /tmp as its HOME. User "0" is the only way
// to root, which has no capabilities either. Of an image, /etc/passwd and
// /etc/group are read up to 1 MiB, and only when they are regular files.
//
// There is no user namespace: servers of one uid share what the kernel bounds
// for each user of the machine, such as watches and instances of inotify, bytes
// in pipes, locked memory and keys, and one of them can use it up for the
// others. Give a server a User of its own to keep it apart.
//
// It starts in Spec.Dir, else in the image's working directory. What is not
// there is made in the container's own root, but not in a mount or volume: a
// start fails whose working directory is missing there, or lies behind a
// symbolic link in it.
//
// Command replaces the entrypoint and the arguments of the image. Args without
// a Command replace the arguments alone.
//
// The environment is the image's, PATH ([DefaultPath] where it has none), HOME,
// what egress needs, and the Env of the Spec, which goes first. containerd
// keeps it with the container, in its database and below /run, as long as the
// container is there: both are root's alone. So a secret in the environment is
// the weakest form.
//
// # Secrets
//
// What Spec.Secrets names is there as environment variables and files. A secret
// that is bound to hosts is a placeholder in both, of which runtime/inject and
// the proxy make the value on the way out. A secret in a file is mounted after
// the container was made and before its program runs, from a file system in
// memory that has no other place: mode 0400, of the server's user, read-only;
// nothing of it is in containerd, on a disk or among the mounts of the host, and
// it is gone with the container. In a class with a kernel of its own no such
// file can be made, and it is refused. When the secret is rotated, the file is
// written anew within a minute, in place. There are no core dumps.
//
// A server with a secret that is bound to hosts trusts the authority of its
// gate, which is for the names of those hosts alone, beside those of its image:
// it is in the image's file of authorities, and in one that SSL_CERT_FILE,
// NODE_EXTRA_CA_CERTS, REQUESTS_CA_BUNDLE, PIP_CERT, CURL_CA_BUNDLE,
// GIT_SSL_CAINFO, AWS_CA_BUNDLE, DENO_CERT and CARGO_HTTP_CAINFO name unless the
// Spec has them. An image without authorities gets that one alone.
//
// # Mounts and volumes
//
// A mount shows what its source names, and what is mounted below, without
// set-user-ID programs and devices. The source is opened without following
// symbolic links and checked first; runc mounts it by its name, and before the
// server runs, what was mounted is compared with what was checked. A runtime
// class that hides what it mounts cannot have mounts of the host. What holds
// the gateway's state folder, or lies in it, needs force.
//
// A volume is a folder below volumes in the state folder, for the server, the
// Spec's Owner and its name; it belongs to the server's user, is writable and
// outlives the instance. It has as much room as the file system that the state
// folder is on.
//
// One with a size is a file system of its own, ext4 in the sparse file
// volumes/SERVER/OWNER/@NAME/image, which its servers see one and the same.
// A full one refuses more and leaves others alone. The size includes what the
// file system needs, some 6 MiB of a small one. While nobody uses the volume it
// can be raised, to 1 TiB or, if that is more, 1024 times what it was at first;
// it cannot be lowered. It needs root, loop devices, and the package e2fsprogs.
// Room on the disk is not set aside for it: when that is full, writes to
// volumes fail. runc mounts such a volume from its device. A
// class with a kernel in user space gets it at a place below the state folder,
// which containerd must see: where it has other mounts than the gateway, the
// start is refused.
//
// # Images
//
//   - REPOSITORY@DIGEST or REPOSITORY:TAG, pulled with the credentials of
//     [Options.Keychain], which go to that registry and to the server of tokens
//     that it names, but to no host that it redirects to. A tag is asked for
//     once in the life of a Runtime. Layers that a manifest places outside of
//     the registry are refused, and so is a registry with TLS that leads to a
//     host without.
//   - oci:PATH[:TAG][@DIGEST], an OCI layout folder. Without a digest what is
//     there now counts.
//   - docker-archive:PATH, a tarball with one image, as `docker save` writes it.
//   - containerd:NAME, already in containerd's namespace.
//
// What containerd has by the name of a digest, but with another one, is refused.
//
// A pull outlives the start that began it. Images stay when the Runtime is
// closed; [Runtime.Prune] removes those that nobody uses.
//
// # Runtime classes
//
// The class "" is runc, "gvisor" is gVisor's runsc with the systrap platform.
// Its kernel counts against the limit of processes: one below 128 is refused.
// [Options.Classes] adds others.
//
// # What is left behind
//
// Nothing, once Stop and Close have returned. Everything in containerd carries
// the id of the gateway, its process, the boot and the state folder as labels. A gateway
// that was killed leaves its containers running; [Runtime.Reap] of the next one
// on the same state folder removes them, and touches nothing of a gateway that
// lives: one that holds its lock below owners in the state folder, or, should
// somebody have removed that file, whose process is there. The state folder
// must belong to this user or to root, and nobody else may write to it. An instance outlives a restart of containerd of up to five seconds;
// after that it is killed, and ends as disconnected. Containers that cannot be
// removed then are removed when containerd is back.
//
// # Standard error
//
// The last 20 lines are kept, at most 4 KiB of each, for the reason that is
// given when a server ends; of a server with a Port, those of its standard
// output as well. Values of the environment are redacted in them.
package containerd
