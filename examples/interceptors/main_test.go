package main

import (
	"strings"
	"testing"
)

func TestInterceptors(t *testing.T) {
	t.Parallel()
	const want = `> SELECT name, email FROM people
audit: ada called query of sql: done
Ada, [email]
Grace, [email]
> DROP TABLE people
audit: ada called query of sql: denied: DROP TABLE is not allowed here
DROP TABLE is not allowed here
> SELECT * FROM people
audit: ada called query of sql: done
Ada, [email]
Grace, [email]
monitor: sql__query would be denied: name the columns instead of *
`
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != want {
		t.Errorf("it prints\n%s\nnot\n%s", out.String(), want)
	}
}
