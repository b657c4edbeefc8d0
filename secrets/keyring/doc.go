// Package keyring keeps secrets in the keyring of the operating system: the
// Secret Service on Linux and BSD (GNOME Keyring, KWallet, KeePassXC), the
// Keychain of macOS, the Credential Manager of Windows.
//
//	k, err := keyring.New("gatehouse", nil)
//	err = k.Set(ctx, "GITHUB_TOKEN", secrets.NewSecret(token))
//	s, err := k.Resolve(ctx, "GITHUB_TOKEN")
//
// A reference, as a whole, is the account (on Linux the attribute username)
// of an entry of the service that New names.
//
// Keyrings ask the user for a password when they are locked, and may hang
// without a desktop. So every call has a deadline. When three that passed it
// have not come back, others fail at once until one does.
//
// The list of entries is there on Linux alone: on other systems a Keyring is
// no [secrets.Lister]. Windows takes values of up to 2,560 bytes, macOS of
// about 3,000.
package keyring
