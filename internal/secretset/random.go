package secretset

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
)

// random makes everything in a sample. Each sample has its own, so that a new
// kind changes no other.
type random struct {
	*rand.Rand
}

// newRandom is the random of the sample with that name.
func newRandom(seed uint64, name string) random {
	return random{rand.New(rand.NewPCG(seed, hash(name)))}
}

func hash(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // never fails
	return h.Sum64()
}

// held tells whether what has that name is in the part that no rule is tuned
// on.
func held(name string) bool { return hash("held "+name)>>16%4 == 0 }

// between is a number from lo to hi, both included.
func (r random) between(lo, hi int) int { return lo + r.IntN(hi-lo+1) }

// pick is one of the list.
func pick[T any](r random, list ...T) T { return list[r.IntN(len(list))] }

// bytes are n random bytes.
func (r random) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// expand makes a string of a pattern: classes as in a regular expression,
// with a count or a range of counts behind, between text that stands for
// itself.
//
//	tok_[0-9a-f]{32}    x[\w-]{20,24}y
func (r random) expand(pattern string) string {
	var out strings.Builder
	for i := 0; i < len(pattern); {
		if pattern[i] != '[' {
			out.WriteByte(pattern[i])
			i++
			continue
		}
		end := i + strings.IndexByte(pattern[i:], ']')
		class := classOf(pattern[i+1 : end])
		i = end + 1
		lo, hi := 1, 1
		if i < len(pattern) && pattern[i] == '{' {
			end := i + strings.IndexByte(pattern[i:], '}')
			from, to, ranged := strings.Cut(pattern[i+1:end], ",")
			lo = number(from)
			if hi = lo; ranged {
				hi = number(to)
			}
			i = end + 1
		}
		for range r.between(lo, hi) {
			out.WriteByte(class[r.IntN(len(class))])
		}
	}
	return out.String()
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(fmt.Sprintf("secretset: count %q of a pattern", s))
	}
	return n
}

// classOf lists the characters of a class.
func classOf(class string) string {
	var out strings.Builder
	for i := 0; i < len(class); i++ {
		switch {
		case class[i] == '\\' && i+1 < len(class) && class[i+1] == 'w':
			out.WriteString(alnum + "_")
			i++
		case i+2 < len(class) && class[i+1] == '-':
			for c := class[i]; c <= class[i+2]; c++ {
				out.WriteByte(c)
			}
			i += 2
		default:
			out.WriteByte(class[i])
		}
	}
	return out.String()
}

// alnum are the digits of base62 as GitHub orders them.
const alnum = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// uuid is a random one, version 4.
func (r random) uuid() string {
	return r.expand("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
}

func (r random) hex(n int) string { return r.expand(fmt.Sprintf("[0-9a-f]{%d}", n)) }

// Words of everyday payloads.

func (r random) service() string {
	return pick(r, "billing", "checkout", "search", "ingest", "notifier", "reports", "gateway", "auth", "catalog", "scheduler", "mailer", "inventory", "profile", "exporter", "webhooks")
}

func (r random) person() string {
	return pick(r, "Amara", "Jonas", "Priya", "Mateo", "Ingrid", "Kenji", "Leila", "Tomasz", "Zoe", "Wei", "Fatima", "Oskar", "Noor", "Diego", "Hana")
}

func (r random) user() string {
	return pick(r, "app", "svc_deploy", "admin", "reporting", "ci-bot", "readonly", "root", "etl_user", "backup", "webapp", "analytics", "jdoe", "mkraus")
}

func (r random) host() string {
	return pick(r, "db-prod-1", "pg-main", "queue-03", "cache-eu", "warehouse", "orders-db", "mail-out") + "." +
		pick(r, "internal.acme.io", "corp.northwind.net", "prod.fabrikam.com", "eu-west-1.rds.amazonaws.com", "svc.cluster.local", "contoso.cloud")
}

func (r random) domain() string {
	return pick(r, "acme.io", "northwind.net", "fabrikam.com", "contoso.cloud", "tailspin.dev", "litware.org")
}

func (r random) database() string {
	return pick(r, "orders", "app_production", "warehouse", "users", "billing", "events", "inventory")
}

func (r random) date() string {
	return fmt.Sprintf("2026-%02d-%02d", r.between(1, 12), r.between(1, 28))
}

func (r random) time() string {
	return fmt.Sprintf("%sT%02d:%02d:%02dZ", r.date(), r.IntN(24), r.IntN(60), r.IntN(60))
}
