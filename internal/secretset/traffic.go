package secretset

import (
	"fmt"
	"strings"
)

// Issues makes a result of about size bytes as a server for issues returns
// it, without a secret: what a scanner has to let pass quickly.
func Issues(seed uint64, size int) []byte {
	r := newRandom(seed, "issues")
	var out strings.Builder
	out.WriteString(`{"jsonrpc":"2.0","id":7,"result":{"content":[],"structuredContent":{"issues":[`)
	const tail = `]}}}`
	for i := 0; ; i++ {
		next := issue(r, i)
		if i > 0 {
			next = "," + next
		}
		if i > 0 && out.Len()+len(next)+len(tail) > size {
			break
		}
		out.WriteString(next)
	}
	out.WriteString(tail)
	return []byte(out.String())
}

// issue is an entry of a list of issues.
func issue(r random, i int) string {
	return fmt.Sprintf(`{"id":%d,"node_id":"I_kwDO%s","number":%d,"title":"%s: %s","state":"%s","author":{"login":"%s","type":"User"},"labels":["%s","%s"],"assignees":[],"created_at":"%s","updated_at":"%s","html_url":"https://github.com/acme/%s/issues/%[3]d","body":"%s %s"}`,
		1e9+r.IntN(1e9), r.expand("[A-Za-z0-9_-]{12}"), 100+i, r.service(), clause(r), pick(r, "open", "closed"), strings.ToLower(r.person()),
		pick(r, "bug", "feature", "docs"), pick(r, "p1", "p2", "good first issue"), r.time(), r.time(), r.service(), sentence(r), sentence(r))
}

func clause(r random) string {
	return pick(r, "token refresh is slow", "keyboard shortcut does nothing", "crash when the list is empty", "password field loses focus", "pagination skips a page", "wrong author shown", "api returns 500 on empty key", "export fails for large files")
}

func sentence(r random) string {
	return fmt.Sprintf(pick(r,
		"Since %s the %s service answers with a timeout after a few minutes, which did not happen before.",
		"Steps: open the page on %s, choose %s, and press save twice; the second request never returns.",
		"We saw this on %s in the logs of %s, together with a warning about the cache and nothing else.",
		"It started on %s, when the author of %s changed the key of the index; a rebuild helps for a while."), r.date(), r.service())
}
