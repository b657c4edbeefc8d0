// Package secrets is the small core that keeps credentials out of the wrong
// places: [Ref] names a secret, [Provider] resolves it, [Secret] and [Value]
// redact themselves wherever they are printed.
//
//	v := secrets.Template("Bearer ${TOKEN}")
//	r, err := v.Resolve(ctx, provider)
//	req.Header.Set("Authorization", r.Reveal())
//
// It imports the standard library alone.
package secrets
