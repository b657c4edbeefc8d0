package catalog_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/catalog"
)

func shelf() []*catalog.Server {
	return []*catalog.Server{
		{Name: "github-official", Title: "GitHub Official", Description: "Official GitHub MCP server for repository management", Image: "ghcr.io/github/server",
			Tools: []catalog.Tool{{Name: "create_issue"}, {Name: "search_code"}}, Categories: []string{"devops"}, Secrets: []catalog.Secret{{Name: "g.t"}}},
		{Name: "gitlab", Title: "GitLab", Description: "Projects and issues; a GitHub alternative", Image: "mcp/gitlab", Tools: []catalog.Tool{{Name: "create_issue"}}, Categories: []string{"devops"}},
		{Name: "postgres", Title: "PostgreSQL", Description: "Query databases", Image: "mcp/postgres", Tools: []catalog.Tool{{Name: "query"}}, Categories: []string{"database"}},
		{Name: "SQLite", Title: "SQLite", Description: "Database interaction and business intelligence", Image: "mcp/sqlite", Categories: []string{"database"}},
		{Name: "slack", Title: "Slack", Description: "Post messages to channels", Remotes: []catalog.Remote{{URL: "https://x"}}, Tools: []catalog.Tool{{Name: "slack_postMessage"}}, Origin: catalog.Origin{Catalog: "own"}},
		{Name: "time", Title: "Time", Description: "Time and timezone conversion", Image: "mcp/time"},
	}
}

func find(x *catalog.Index, q catalog.Query) []string {
	var out []string
	for _, h := range x.Search(q) {
		out = append(out, h.Server.Name)
	}
	return out
}

func TestSearchRanks(t *testing.T) {
	t.Parallel()
	x := catalog.NewIndex(shelf())
	for _, c := range []struct {
		q    catalog.Query
		want []string
	}{
		{catalog.Query{Text: "github"}, []string{"github-official", "gitlab"}},
		{catalog.Query{Text: "GitHub"}, []string{"github-official", "gitlab"}},
		{catalog.Query{Text: "git"}, []string{"gitlab", "github-official"}},
		{catalog.Query{Text: "TIME"}, []string{"time"}},
		{catalog.Query{Text: "post message"}, []string{"slack", "postgres"}},
		{catalog.Query{Text: "create issues", NoSecret: true}, []string{"gitlab"}},
		{catalog.Query{Text: "database"}, []string{"SQLite", "postgres"}},
		{catalog.Query{Text: "postgre"}, []string{"postgres"}},
		{catalog.Query{Text: "slakc"}, []string{"slack"}},
		{catalog.Query{Text: "databases", Limit: 1}, []string{"SQLite"}},
		{catalog.Query{Category: "Database"}, []string{"postgres", "SQLite"}},
		{catalog.Query{Kind: catalog.KindRemote}, []string{"slack"}},
		{catalog.Query{Catalog: "own"}, []string{"slack"}},
		{catalog.Query{Tool: "create_issue", Limit: -1}, []string{"github-official", "gitlab"}},
		{catalog.Query{Text: "nothing of that kind zzz"}, nil},
		{catalog.Query{Text: "?!"}, nil},
		{catalog.Query{Text: "gitlab github"}, []string{"gitlab", "github-official"}},
	} {
		if got := find(x, c.q); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.q, got, c.want)
		}
	}
}

func FuzzSearch(f *testing.F) {
	x := catalog.NewIndex(shelf())
	for _, s := range []string{"github", "ÄÖ x", "\xff\xfe", "aA"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, h := range x.Search(catalog.Query{Text: text}) {
			if h.Server == nil || h.Score < 0 {
				t.Errorf("%q: %+v", text, h)
			}
		}
	})
}

func ExampleIndex_Search() {
	x := catalog.NewIndex(shelf())
	for _, h := range x.Search(catalog.Query{Text: "query a database", Limit: 2}) {
		fmt.Println(h.Server.Name)
	}
	// Output:
	// postgres
	// SQLite
}
