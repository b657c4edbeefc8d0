// Package secrets is the small core that keeps credentials out of the wrong
// places: [Ref] names a secret, [Provider] resolves it, [Secret] and [Value]
// redact themselves wherever they are printed.
//
//	v := secrets.Template("Bearer ${TOKEN}")
//	r, err := v.Resolve(ctx, provider)
//	req.Header.Set("Authorization", r.Reveal())
//
// Providers are packages of their own below this one (env, file, age, keyring,
// vault, command), or a host's own few lines. [Chain] asks several in order, [NewCache] keeps answers for a while and
// asks once for all who wait:
//
//	p := secrets.NewCache(secrets.Chain(keyring, vault), nil)
//
// It imports the standard library alone.
package secrets
