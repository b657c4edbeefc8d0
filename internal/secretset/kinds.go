package secretset

// Tiers of kinds, by what gives the secret away.
const (
	Prefix  = "prefix"
	Context = "context"
	Generic = "generic"
	Conn    = "conn"
	Key     = "key"
)

// kind is a kind of secret.
type kind struct {
	id     string
	tier   string
	vendor string   // as people write it
	keys   []string // names of the setting that holds it, as in an environment
	make   func(r random) secret
}

// secret is one value of a kind.
type secret struct {
	value string
	text  string // what carries it and is put into a payload in its place; "": the value itself
}

// shown is what stands in a payload.
func (s secret) shown() string {
	if s.text != "" {
		return s.text
	}
	return s.value
}

// pattern makes values from a pattern of [random.expand].
func pattern(p string) func(random) secret {
	return func(r random) secret { return secret{value: r.expand(p)} }
}

// value makes values by a function.
func value(f func(random) string) func(random) secret {
	return func(r random) secret { return secret{value: f(r)} }
}

// kinds lists all kinds.
func kinds() []kind {
	var all []kind
	all = append(all, codeKinds()...)
	all = append(all, cloudKinds()...)
	all = append(all, modelKinds()...)
	all = append(all, businessKinds()...)
	all = append(all, contextKinds()...)
	all = append(all, genericKinds()...)
	all = append(all, connKinds()...)
	all = append(all, placeKinds()...)
	all = append(all, namedKinds()...)
	all = append(all, keyKinds()...)
	return all
}

// prefixed is a kind of the tier prefix.
func prefixed(id, vendor, key string, make func(random) secret) kind {
	return kind{id, Prefix, vendor, []string{key}, make}
}
