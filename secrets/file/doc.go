// Package file takes secrets from files: [New] from one that holds several
// (.env, JSON, YAML) or is one, [NewFolder] from a folder of files that are
// one each, as Kubernetes and Docker mount them.
//
//	f, err := file.New("/etc/app/.env", nil)
//	s, err := f.Resolve(ctx, "GITHUB_TOKEN")
//
//	d, err := file.NewFolder("/run/secrets")
//	s, err = d.Resolve(ctx, "db-password")       // the file db-password
//	s, err = d.Resolve(ctx, "account.json#key")  // one value of a file in JSON
//
// In a .env file a reference is a name; in JSON and YAML it names the keys on
// the way to a value: github/token or github#token. A plain file, which is one
// secret, goes by its own name. One newline at the end of a plain file is not
// part of the secret.
//
// Files are read each time, so that a new value is seen as soon as it is
// there; put [secrets.NewCache] before a provider that is asked often. They
// may have 1 MiB.
//
// # Who may read and write
//
// A file with several secrets that everybody on the machine may read is
// refused, since nobody would notice; Options.WorldReadable accepts it. Files
// of a folder may be readable by everybody, as that is how they are mounted
// into containers. A file that others than its user and group may write to is
// refused always. On Windows, where modes say nothing, none of this is looked
// at.
//
// In a folder, links are followed as long as they stay in it, which those of
// Kubernetes do (..data).
//
// What Set makes is for its user alone (0600). It replaces a file in one step,
// under a lock that keeps other writers away.
package file
