// Package command takes secrets from other programs: [New] runs a command
// that prints one, such as op read or pass show, and [NewDocker] speaks the
// protocol of docker-credential-* programs.
//
//	p, err := command.New([]string{"op", "read", "op://{path}/{field}"}, &command.Options{
//		Env: map[string]secrets.Value{"PATH": …, "HOME": …},
//	})
//	s, err := p.Resolve(ctx, "team/github#token") // op read op://team/github/token
//
// {path} and {field} stand for the parts of the reference. No shell is
// involved: each element of the list is one argument, whatever is put into it.
// A part that would make an element begin with - is refused, so that no
// reference becomes an option.
//
// The program gets the environment that Options names, an empty standard input
// (so that one that asks for a password fails instead of waiting) and a
// deadline, at which all that it started is killed. What it prints, at most
// 1 MiB, is the secret, without one newline at the end; it is never part of an
// error. The last lines of its standard error are, without the values of its
// environment and whatever it printed.
//
// Programs start slowly: put [secrets.NewCache] before a provider.
package command
