package main

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// notes keeps texts by their titles, in memory.
type notes struct {
	mu    sync.Mutex
	texts map[string]string
}

// maxNotes and maxText bound what is kept.
const (
	maxNotes = 1_000
	maxText  = 64 << 10
)

// newNotes makes a server that keeps notes: tools to write, find and remove
// them, each note as a resource, and a prompt that sums them up.
func newNotes() *server.MCPServer {
	s := server.NewMCPServer("notes", "1.0.0", server.WithToolCapabilities(false), server.WithResourceCapabilities(false, true), server.WithPromptCapabilities(false))
	n := &notes{texts: make(map[string]string)}
	title := mcp.WithString("title", mcp.Required(), mcp.Description("of the note"))
	s.AddTool(mcp.NewTool("write", mcp.WithDescription("Keeps a note; one with the same title is replaced."), title,
		mcp.WithString("text", mcp.Required(), mcp.Description("what to remember"))), n.write)
	s.AddTool(mcp.NewTool("find", mcp.WithDescription("Lists the titles of the notes that hold a text."),
		mcp.WithString("text", mcp.Description("empty for all notes")), mcp.WithReadOnlyHintAnnotation(true)), n.find)
	s.AddTool(mcp.NewTool("remove", mcp.WithDescription("Forgets a note."), title), n.remove)
	s.AddResourceTemplate(mcp.NewResourceTemplate("note://{title}", "note", mcp.WithTemplateDescription("A note by its title."), mcp.WithTemplateMIMEType("text/plain")),
		func(_ context.Context, r mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
			return n.read(r.Params.URI)
		})
	s.AddPrompt(mcp.NewPrompt("summary", mcp.WithPromptDescription("Asks for a summary of all notes.")), n.summary)
	return s
}

func (n *notes) write(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	title, text := r.GetString("title", ""), r.GetString("text", "")
	if title == "" || len(title) > 200 || len(text) > maxText {
		return mcp.NewToolResultError(fmt.Sprintf("A title has 1 to 200 bytes, a text at most %d.", maxText)), nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, replaced := n.texts[title]; !replaced && len(n.texts) >= maxNotes {
		return mcp.NewToolResultError(fmt.Sprintf("There are %d notes already; remove one.", maxNotes)), nil
	}
	n.texts[title] = text
	return mcp.NewToolResultText("Kept."), nil
}

func (n *notes) find(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	want := strings.ToLower(r.GetString("text", ""))
	n.mu.Lock()
	defer n.mu.Unlock()
	var titles []string
	for _, title := range slices.Sorted(maps.Keys(n.texts)) {
		if strings.Contains(strings.ToLower(title+"\n"+n.texts[title]), want) {
			titles = append(titles, title)
		}
	}
	if titles == nil {
		return mcp.NewToolResultText("No note holds that."), nil
	}
	return mcp.NewToolResultText(strings.Join(titles, "\n")), nil
}

func (n *notes) remove(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	title := r.GetString("title", "")
	if _, ok := n.texts[title]; !ok {
		return mcp.NewToolResultError("There is no note of this title; find lists them."), nil
	}
	delete(n.texts, title)
	return mcp.NewToolResultText("Forgotten."), nil
}

func (n *notes) read(uri string) ([]mcp.ResourceContents, error) {
	title, err := url.PathUnescape(strings.TrimPrefix(uri, "note://"))
	n.mu.Lock()
	defer n.mu.Unlock()
	text, ok := n.texts[title]
	if err != nil || !ok {
		return nil, fmt.Errorf("there is no note %s: %w", uri, server.ErrResourceNotFound)
	}
	return []mcp.ResourceContents{mcp.TextResourceContents{URI: uri, MIMEType: "text/plain", Text: text}}, nil
}

func (n *notes) summary(context.Context, mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var b strings.Builder
	b.WriteString("Sum up these notes in three sentences.\n")
	for _, title := range slices.Sorted(maps.Keys(n.texts)) {
		fmt.Fprintf(&b, "\n# %s\n%s\n", title, n.texts[title])
	}
	return mcp.NewGetPromptResult("A summary of all notes", []mcp.PromptMessage{mcp.NewPromptMessage(mcp.RoleUser, mcp.NewTextContent(b.String()))}), nil
}
