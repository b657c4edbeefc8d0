// Package process runs a server as a plain command of this machine, with its
// standard input and output as the connection.
//
//	func main() {
//		if process.Init() {
//			return
//		}
//		rt := process.New(nil)
//		files := runtime.Of(rt, runtime.Spec{
//			Command:    []string{"mcp-server-files", "/srv/docs"},
//			Unconfined: true,
//		})
//		…
//	}
//
// A plain command can do whatever the user of the gateway can. So the driver
// refuses a Spec that does not say Unconfined, and one that asks for anything
// it cannot hold: an image, another user, mounts, limits, a network, a secret as a
// placeholder or in a file.
//
// # Environment
//
// A server gets the Env of its Spec and of [Options], and nothing of the
// gateway's own environment. Without a PATH there it gets [DefaultPath],
// without a HOME the home that the user database has for the user; on
// Windows SYSTEMROOT as well, without which hardly anything starts.
//
// # What is left behind
//
// Nothing, as far as the system allows. [Runtime.Description] says what holds
// where the program runs:
//
//   - On Linux, when main has called [Init]: every server has a watcher, a
//     copy of this program that sleeps until the server ends, Stop is called
//     or the gateway is gone, for whatever reason. Then it kills the server
//     and everything that came from it, also what has detached itself (double
//     fork, setsid): all of it has the watcher as its ancestor
//     (PR_SET_CHILD_SUBREAPER), and the watcher goes only when the kernel
//     tells it that it has no children any more.
//   - On other Unix systems, when main has called Init: the same, except that
//     what has left the server's process group is not found.
//   - On Unix systems without Init: Stop kills the process group and, on Linux,
//     what descends from the server. When the gateway is killed, Linux kills
//     the server itself, and nothing else; other systems kill nothing.
//   - On Windows the server and all its children are in a job that ends with
//     the gateway.
//
// A watcher costs about as much memory as an idle Go program, and no time. If
// it is killed, the server is killed too (on Linux), and what the server
// started is killed by Stop as far as it can still be found.
//
// # Standard error
//
// The last 20 lines are kept, at most 4 KiB of each, for the reason that is
// given when a server ends. In them, and in what is logged, the values of the
// environment are redacted: those with references wherever they stand, plain
// ones from eight bytes on.
package process
