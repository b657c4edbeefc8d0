package keyring

import (
	"context"
	"slices"

	"github.com/godbus/dbus/v5"
	ss "github.com/zalando/go-keyring/secret_service"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

var _ secrets.Lister = (*Keyring)(nil)

// List implements [secrets.Lister]. It reads no secret, and works with a
// keyring that is locked.
func (k *Keyring) List(ctx context.Context) ([]secrets.Ref, error) {
	refs, err := call(ctx, k, k.list)
	if err != nil {
		return nil, k.fault("the list", err)
	}
	return refs, nil
}

func (k *Keyring) list() ([]secrets.Ref, error) {
	svc, err := ss.NewSecretService()
	if err != nil {
		return nil, err
	}
	items, err := svc.SearchItems(svc.GetLoginCollection(), map[string]string{"service": k.service})
	if err != nil {
		return nil, err
	}
	var refs []secrets.Ref
	for _, item := range items {
		v, err := svc.Object("org.freedesktop.secrets", item).GetProperty("org.freedesktop.Secret.Item.Attributes")
		if err != nil {
			return nil, err
		}
		var attributes map[string]string
		if err := dbus.Store([]any{v.Value()}, &attributes); err != nil {
			return nil, err
		}
		if name := attributes["username"]; name != "" {
			refs = append(refs, secrets.Ref(name))
		}
	}
	slices.Sort(refs)
	return slices.Compact(refs), nil
}
