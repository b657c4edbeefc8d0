// Package age takes secrets from a file that is encrypted with age
// (https://age-encryption.org): .env, JSON or YAML, or one secret. Such a file
// can be kept with the configuration, in version control too.
//
//	age-keygen -o key.txt                        # the identity; prints its public key
//	age -e -i key.txt -o prod.env.age prod.env
//
//	f, err := age.New("prod.env.age", "key.txt", nil)
//	s, err := f.Resolve(ctx, "GITHUB_TOKEN")
//
// What is in it is told by its name without .age, or by Options.Format, and
// references are those of [github.com/gatehouse-mcp/gatehouse/secrets/file].
//
// Both files are read each time, so that new ones are seen as soon as they
// are there; what was decrypted is not kept. The encrypted file may be
// readable by everybody. An identity that everybody may read is refused,
// unless Options.WorldReadable accepts it, as it must for a volume of
// Kubernetes with the usual modes.
//
// Identities are those that age-keygen writes, of both kinds (X25519, and
// post-quantum: age-keygen -pq), any number in one file. SSH keys, plugins and
// passphrases are not supported.
//
// # Writing
//
// Set and Remove encrypt the whole file anew, in one step and under a lock.
// An age file does not tell for whom it is, so it is encrypted for the
// identity that opened it (for a new file: the first one) and for
// Options.Recipients. When it was for more than these, nothing is written, so
// that nobody is locked out by a change.
package age
