// Package vault takes secrets from HashiCorp Vault or OpenBao over their HTTP
// API.
//
//	c, err := vault.New("https://vault.example.com:8200", vault.AppRole{RoleID: id, SecretIDFile: path}, nil)
//	defer c.Close()
//	s, err := c.Resolve(ctx, "team/github#token")             // of the KV engine at secret/
//	s, err = c.Resolve(ctx, "team/github?version=3#token")    // an older version
//
// A reference is the path of a secret and one of its fields; the field may be
// left out where there is one alone. Options.Engine says what is asked:
//
//   - "kv2", which is the default, and "kv1" are the versions of the KV
//     engine at Options.Mount. They can be listed and written too.
//   - "dynamic" reads from engines that make credentials, by the whole path:
//     database/creds/app#password. What one reading gave is used for all
//     fields of the path, so that user and password fit, for as long as its
//     lease lives.
//
// # Logging in
//
// [Token] and [TokenFile] use a token that is there, [AppRole] logs in with
// one. It happens at the first use. Tokens and leases are renewed when two
// thirds of their time are over. A token that is refused is replaced by a new
// login once, or for a TokenFile by what the file holds now; after that the
// refusal counts.
//
// A secret with a lease says when that ends ([secrets.Secret.Expires]); shortly
// before an end that cannot be put off any more new credentials are made.
//
// [Client.Close] ends the renewals and revokes what is left: the token of
// AppRole with all its leases, else the leases.
//
// # What Vault may not be
//
// Connections are TLS 1.2 or newer, verified against the roots of the system or
// Options.CAFile. Plain http is refused; Options.AllowHTTP allows it to this
// machine's own loopback address, for a development server. Redirects of a
// standby to the active node are followed under the same rules.
//
// A server that is sealed, not initialised, a standby that forwards nothing or
// refuses the token is an error that says so, never a missing secret.
package vault
