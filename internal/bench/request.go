package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// An operation is what the clients of a row do again and again.
type operation string

const (
	opEcho operation = "echo" // a call with 200 bytes of text that come back
	opBig  operation = "big"  // a call whose reply is 64 KB of plain text
	opList operation = "list" // tools/list of 1,000 tools
)

// Ids are numbers of one length, so that a request can be written over in
// place. They tell the client too: idBase + client*idSpan + count.
const (
	idBase   = 1_000_000_000
	idSpan   = 10_000_000
	idDigits = 10
)

// ownerOf is the client that an id belongs to.
func ownerOf(id uint64) (client int, ok bool) {
	if id < idBase {
		return 0, false
	}
	return int((id - idBase) / idSpan), true
}

const (
	modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"` + modernVersion + `","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`
	echoText   = "lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation"
)

// A user is a client with its session, and the request that it repeats.
type user struct {
	client
	index  int
	modern bool
	op     operation
	tool   string
	count  uint64

	wire   []byte // the request, encoded once
	idAt   []int  // where ids stand in it
	text   []byte // what must come back, a part of wire; nil unless op is opEcho
	expect []byte // the result that was seen to be right; nil before the first
}

// next counts up the ids of a user.
func (u *user) next() uint64 {
	u.count++
	return idBase + uint64(u.index)*idSpan + u.count%idSpan
}

// request makes a message of the user's era from the members of its params.
func (u *user) request(method string, id uint64, members string) []byte {
	switch {
	case u.modern && members != "":
		members += "," + modernMeta
	case u.modern:
		members = modernMeta
	}
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":%q,"params":{%s}}`, id, method, members)
}

// say makes one exchange beside the repeated one.
func (u *user) say(method, members string) (json.RawMessage, error) {
	id := u.next()
	b, err := u.exchange(u.frame(method, "", u.request(method, id, members)), id)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	result, ok := rawjson.Get(b, "result")
	if !ok {
		return nil, fmt.Errorf("%s: no result: %.300s", method, b)
	}
	return result, nil
}

// open makes a session, finds the tool, and prepares the request. A user that
// shares its pipe with others leaves the handshake to the first.
func (u *user) open(handshake bool) error {
	u.extend(0)
	if !u.modern && handshake {
		if _, err := u.say("initialize", `"protocolVersion":"`+legacyVersion+`","capabilities":{},"clientInfo":{"name":"bench","version":"1"}`); err != nil {
			return err
		}
		const ready = "notifications/initialized"
		if _, err := u.exchange(u.frame(ready, "", []byte(`{"jsonrpc":"2.0","method":"`+ready+`"}`)), 0); err != nil {
			return fmt.Errorf("%s: %w", ready, err)
		}
	}
	if u.op != opList {
		if err := u.find(string(u.op)); err != nil {
			return err
		}
	}
	u.prepare()
	return nil
}

// find learns how the peer calls a tool of the fixed server.
func (u *user) find(tool string) error {
	result, err := u.say("tools/list", "")
	if err != nil {
		return err
	}
	var list struct {
		Tools []struct{ Name string }
	}
	if err := json.Unmarshal(result, &list); err != nil {
		return fmt.Errorf("tools/list: %w", err)
	}
	for _, t := range list.Tools {
		if t.Name == tool || strings.HasSuffix(t.Name, "__"+tool) {
			u.tool = t.Name
			return nil
		}
	}
	return fmt.Errorf("tools/list shows no tool %s among %d", tool, len(list.Tools))
}

// prepare encodes the request that is repeated.
func (u *user) prepare() {
	mark := strconv.Itoa(idBase)
	method, members := "tools/call", ""
	switch u.op {
	case opEcho:
		members = fmt.Sprintf(`"name":%q,"arguments":{"text":"call %s %s"}`, u.tool, mark, echoText)
	case opBig:
		members = fmt.Sprintf(`"name":%q,"arguments":{}`, u.tool)
	case opList:
		method = "tools/list"
	}
	u.wire = u.frame(method, u.tool, u.request(method, idBase, members))
	u.idAt = u.idAt[:0]
	for at := bytes.Index(u.wire, replyStart); ; {
		i := bytes.Index(u.wire[at:], []byte(mark))
		if i < 0 {
			break
		}
		u.idAt = append(u.idAt, at+i)
		at += i + idDigits
	}
	u.text = nil
	if u.op == opEcho {
		start := bytes.Index(u.wire, []byte(`"call `))
		u.text = u.wire[start : start+len(`"call `)+idDigits+1+len(echoText)+1]
	}
}

// once makes the repeated call and checks its reply.
func (u *user) once() error {
	id := u.next()
	for _, at := range u.idAt {
		for i, n := idDigits-1, id; i >= 0; i, n = i-1, n/10 {
			u.wire[at+i] = byte('0' + n%10)
		}
	}
	reply, err := u.exchange(u.wire, id)
	if err != nil {
		return err
	}
	return u.check(reply)
}

var (
	textMember = []byte(`"text":`)
	toolMember = []byte(`"inputSchema":`)
	errorCalls = []byte(`"isError":true`)
)

// check looks for the text that was sent, or compares with the reply that was
// examined in full first.
func (u *user) check(reply []byte) error {
	if u.op == opEcho {
		if i := bytes.Index(reply, u.text); i < 0 || !bytes.HasSuffix(reply[:i], textMember) || bytes.Contains(reply, errorCalls) {
			return fmt.Errorf("the reply has not the text that was sent: %.300s", reply)
		}
		return nil
	}
	// What follows the id is the same in every reply.
	rest := reply
	if len(replyStart)+idDigits < len(reply) {
		rest = reply[len(replyStart)+idDigits:]
	}
	if u.expect != nil && bytes.Equal(rest, u.expect) {
		return nil
	}
	if err := u.examine(reply); err != nil {
		return err
	}
	u.expect = append(u.expect[:0], rest...)
	return nil
}

// examine checks a reply by its parts.
func (u *user) examine(reply []byte) error {
	if err := rawjson.Valid(reply, maxDepth); err != nil {
		return fmt.Errorf("the reply is no JSON: %w", err)
	}
	if u.op == opList {
		if n := bytes.Count(reply, toolMember); n != manyTools {
			return fmt.Errorf("tools/list has %d tools, not %d: %.300s", n, manyTools, reply)
		}
		if !bytes.Contains(reply, fmt.Appendf(nil, `tool_%04d"`, manyTools-1)) {
			return errors.New("tools/list lacks the last tool")
		}
		return nil
	}
	i := bytes.Index(reply, textMember)
	if i < 0 || bytes.Contains(reply, errorCalls) {
		return fmt.Errorf("the reply has no text: %.300s", reply)
	}
	text, _, _ := bytes.Cut(reply[i+len(textMember)+1:], []byte(`"`))
	if len(text) < bigText-16 || !bytes.HasSuffix(text, []byte(bigEnd)) {
		return fmt.Errorf("the text has %d bytes, not %d, or another end", len(text), bigText)
	}
	return nil
}
