package gateway

import (
	"context"
	"fmt"
	"slices"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// declared is a provider narrowed to what one server declares.
type declared struct {
	p    secrets.Provider
	refs []secrets.Ref
}

var _ secrets.Provider = declared{}

// Resolve implements [secrets.Provider].
func (d declared) Resolve(ctx context.Context, ref secrets.Ref) (secrets.Secret, error) {
	if !slices.Contains(d.refs, ref) {
		return secrets.Secret{}, fmt.Errorf("%s is not among the secrets that this server declares: %w", ref, secrets.ErrNotFound)
	}
	return d.p.Resolve(ctx, ref)
}
