// Package testvault is a small server that speaks the HTTP API of HashiCorp
// Vault and OpenBao, for tests: tokens with an end, AppRole, both KV engines,
// dynamic credentials with leases, renewal, revocation, policies, namespaces,
// and the states of a server that does not serve. It was written by their
// documentation (https://developer.hashicorp.com/vault/api-docs), since no
// release of either is to be had through the package sources that tests may
// use.
//
//	v := testvault.New()
//	v.Put("secret/app", map[string]any{"token": "value"})
//	address, caFile := v.Start(t)
//
// Time is that of package time, so that a test in a bubble of testing/synctest
// has it in its hands; such a test starts the server with StartIn.
package testvault
