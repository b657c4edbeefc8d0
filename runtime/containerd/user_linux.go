package containerd

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// user is who a server runs as.
type user struct {
	uid, gid uint32
	more     []uint32 // further groups
	own      bool     // it is the image's own
}

// standardUser is who a server runs as when nobody says.
func standardUser() (user, error) {
	uid, gid, err := parseUser(defaultUser)
	return user{uid: uid, gid: gid}, err
}

// imageUser is the user that an image names, as USER or USER:GROUP, each a
// name or a number, but neither root nor of root's group. Without a GROUP it
// has the groups that the image's files give it.
func imageUser(root int, text string) (user, error) {
	u, err := lookUser(root, text)
	if err != nil {
		return user{}, fmt.Errorf("looking up the image's user %q; give one as uid:gid: %w", text, err)
	}
	if u.uid == 0 {
		return standardUser()
	}
	if u.gid == 0 {
		u.gid = u.uid
	}
	u.more = slices.DeleteFunc(u.more, func(g uint32) bool { return g == 0 || g == u.gid })
	return u, nil
}

func lookUser(root int, text string) (user, error) {
	u := user{own: true}
	name, group, grouped := strings.Cut(text, ":")
	uid, numeric := number(name)
	gid, plain := number(group)
	if numeric && grouped && plain {
		u.uid, u.gid = uid, gid
		return u, nil
	}
	users, err := entriesIn(root, "/etc/passwd", 4)
	if err != nil {
		return user{}, err
	}
	n := slices.IndexFunc(users, func(e []string) bool { return e[0] == name && !numeric })
	if numeric {
		n = slices.IndexFunc(users, func(e []string) bool { id, ok := number(e[2]); return ok && id == uid })
	}
	switch {
	case n >= 0:
		var ok1, ok2 bool
		u.uid, ok1 = number(users[n][2])
		u.gid, ok2 = number(users[n][3])
		if !ok1 || !ok2 {
			return user{}, fmt.Errorf("/etc/passwd of the image gives the user %q no numbers below 2^31", name)
		}
		name = users[n][0]
	case numeric:
		u.uid, u.gid, name = uid, uid, ""
	default:
		return user{}, fmt.Errorf("/etc/passwd of the image has no user %q", name)
	}
	if grouped && plain {
		u.gid = gid
		return u, nil
	}
	groups, err := entriesIn(root, "/etc/group", 3)
	if err != nil {
		return user{}, err
	}
	for _, e := range groups {
		id, ok := number(e[2])
		switch {
		case !ok:
		case grouped && e[0] == group:
			u.gid = id
			return u, nil
		case !grouped && name != "" && len(e) > 3 && slices.Contains(strings.Split(e[3], ","), name):
			u.more = append(u.more, id)
		}
	}
	if grouped {
		return user{}, fmt.Errorf("/etc/group of the image has no group %q", group)
	}
	return u, nil
}

// number reads a uid or gid; runc takes no greater ones.
func number(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return uint32(n), err == nil
}

// entriesIn are the lines of a file of users or groups, as fields, of which
// each has the least number. A file that is not there has none.
func entriesIn(root int, name string, least int) (all [][]string, err error) {
	b, err := readIn(root, name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		if e := strings.Split(strings.TrimSpace(line), ":"); len(e) >= least {
			all = append(all, e)
		}
	}
	return all, nil
}
