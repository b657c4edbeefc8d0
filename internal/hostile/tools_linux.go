package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tools are all attacks by name.
func tools() map[string]tool {
	return map[string]tool{
		"read":      {about: "reads a file or a folder: path", run: read},
		"readlink":  {about: "reads where a link leads: path", run: readlink},
		"find":      {about: "looks for a name everywhere below a folder: from, name", run: find},
		"environ":   {about: "looks for a text in the environments of all processes: want", run: environ},
		"processes": {about: "looks for a text in the command lines of all processes: want", run: processes},
		"write":     {about: "writes a file: path", run: write},
		"overwrite": {about: "opens a file that is there for writing: path", run: overwrite},
		"chmod":     {about: "changes the mode of a file: path", run: chmod},
		"handle":    {about: "opens a file by a handle, past all mounts: path", run: handle},
		"execute":   {about: "executes a copy of itself from a folder: dir", run: execute},
		"symlink":   {about: "makes a symbolic link: path, to", run: symlink},
		"swap":      {about: "exchanges two names for some seconds: a, b, seconds", run: swap},

		"reach":    {about: "connects and reads: network, address, want", run: reach},
		"datagram": {about: "sends a datagram and reads the answer: network, address, want", run: datagram},
		"dns":      {about: "asks a resolver: network, server, name", run: dns},
		"http":     {about: "gets a URL: url, proxy (env or an address), host, want", run: get},
		"tls":      {about: "speaks TLS with another name: address, proxy, target, sni, host, want", run: front},
		"listen":   {about: "listens and answers with a text, for others to find: network, address, say", run: listenFor, here: true},
		"share":    {about: "makes shared memory for others to find: key, say", run: share, here: true},
		"memory":   {about: "reads the shared memory of others: key, want", run: shared},

		"socket":  {about: "opens a socket: kind", run: socket},
		"syscall": {about: "makes a system call that only a master may make: name", run: call},

		"setuid":      {about: "becomes root: how", run: becomeRoot},
		"privileged":  {about: "runs a program that has more rights by its file: path", run: privileged},
		"identity":    {about: "says who it is and which rights it has", run: identity},
		"capset":      {about: "takes capabilities: how", run: capset},
		"unshare":     {about: "makes a namespace: kind", run: unshare},
		"clone":       {about: "starts a process in a namespace: kind", run: clone},
		"setns":       {about: "enters a namespace: path", run: setns},
		"mount":       {about: "mounts something: kind", run: mount},
		"remount":     {about: "makes a mount writable from a user namespace of its own, and writes to it: path", run: remount},
		"chroot":      {about: "changes the root: how, dir", run: chroot},
		"terminal":    {about: "types on a terminal that it has not made", run: terminal},
		"descriptors": {about: "finds descriptors that it was not given", run: descriptors, here: true},

		"trace":    {about: "traces a process: pid", run: trace},
		"sibling":  {about: "traces a process of its own that is no child", run: sibling},
		"peek":     {about: "reads the memory of a process: pid", run: peek},
		"steal":    {about: "takes a descriptor of a process: pid, fd", run: steal},
		"signal":   {about: "kills a process: pid", run: signal},
		"killall":  {about: "kills all processes that it can", run: killAll},
		"escalate": {about: "lowers its score for the out-of-memory killer and raises its limits: how", run: escalate},
		"detach":   {about: "leaves a process that writes to a file for ever: path", run: detach},

		"allocate": {about: "uses memory: bytes", run: allocate, here: true},
		"child":    {about: "has a child use memory: bytes", run: allocate},
		"burn":     {about: "uses CPU: seconds, threads", run: burn, here: true},
		"bomb":     {about: "forks without end: seconds", run: bomb},
		"fill":     {about: "fills a folder: dir", run: fill},
		"litter":   {about: "makes empty files without end: dir", run: litter},
		"open":     {about: "opens files without end", run: openFiles},
		"log":      {about: "prints to standard error: bytes", run: log, here: true},
		"flood":    {about: "prints a line without an end to standard output: bytes", run: flood, here: true},
		"chatter":  {about: "sends notifications: number", run: chatter, here: true},
		"deaf":     {about: "reads its input no more"},
	}
}

// patience bounds an attempt.
const patience = 60 * time.Second

// result is what an attempt in a process of its own says.
type result struct {
	Text   string
	Failed string
}

// attempt has a copy of this program make an attempt.
func attempt(name string, a arguments) (string, error) {
	raw, err := json.Marshal(a)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, "/proc/self/exe", "attempt", name, string(raw))
	c.WaitDelay = time.Second
	out, err := c.Output()
	var r result
	if len(out) > 0 && json.Unmarshal(out, &r) == nil {
		if r.Failed != "" {
			return "", errors.New(r.Failed)
		}
		return r.Text, nil
	}
	if err == nil {
		err = fmt.Errorf("it said %q", out)
	}
	var e *exec.ExitError
	if errors.As(err, &e) && len(e.Stderr) > 0 {
		first, _, _ := strings.Cut(string(e.Stderr), "\n")
		err = fmt.Errorf("%w: %s", err, first)
	}
	return "", fmt.Errorf("the process that tried ended: %w", err)
}

// act is what a copy of this program does.
func act(what string, args []string) error {
	switch {
	case what == "http" && len(args) == 1:
		return listen(args[0])
	case what == "as" && len(args) > 0:
		return as(args[0], args[1:])
	case what == "attempt" && len(args) == 2:
		var a arguments
		t, ok := tools()[args[0]]
		if !ok || t.run == nil {
			return fmt.Errorf("there is no attempt %q", args[0])
		}
		if err := json.Unmarshal([]byte(args[1]), &a); err != nil {
			return err
		}
		var r result
		var err error
		if r.Text, err = t.run(a); err != nil {
			r.Failed = err.Error()
		}
		return json.NewEncoder(os.Stdout).Encode(r)
	case what == "remounted" && len(args) == 1:
		return remounted(args[0])
	case what == "identity":
		s, err := identity(nil)
		fmt.Println(s)
		return err
	case what == "heartbeat" && len(args) == 2:
		return heartbeat(args[0], args[1])
	case what == "wait" && len(args) > 0: // a victim; further arguments mark it
		time.Sleep(10 * time.Minute)
		return nil
	case what == "fork":
		runtime.LockOSThread()
		forkForEver()
	case what == "nothing":
		return nil
	}
	return fmt.Errorf("unknown arguments %q %q", what, args)
}

// as becomes another user, for good, and then what the arguments say.
func as(user string, args []string) error {
	id, err := strconv.Atoi(user)
	if err != nil {
		return err
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setresgid(id, id, id), syscall.Setresuid(id, id, id)); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", append([]string{os.Args[0]}, args...), os.Environ())
}
