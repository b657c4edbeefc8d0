package secretset

import (
	"fmt"
	"strings"
)

// place is where in the protocol something stands.
type place struct {
	name string
	put  func(r random, p piece) piece // returns the message; p is quoted text or, where json is set, an object
}

// rpc wraps what stands in a request, a reply or a notification.
func rpc(r random, kind, rest string) string {
	switch kind {
	case "call":
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":%s}`, r.between(1, 9999), rest)
	case "result":
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":%s}`, r.between(1, 9999), rest)
	case "error":
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"error":%s}`, r.between(1, 9999), rest)
	default:
		return fmt.Sprintf(`{"jsonrpc":"2.0","method":"%s","params":%s}`, kind, rest)
	}
}

// at is a place of one template.
func at(name, kind string, template func(r random) string) place {
	return place{name, func(r random, p piece) piece { return p.around(rpc(r, kind, template(r))) }}
}

// textPlaces take a string, with its quotes.
func textPlaces() []place {
	return []place{
		at("argument", "call", func(r random) string {
			return pick(r,
				fmt.Sprintf(`{"name":"slack_post_message","arguments":{"channel":"C%s","text":%s}}`, r.expand("[0-9A-Z]{10}"), hole),
				fmt.Sprintf(`{"name":"create_issue","arguments":{"owner":"%s","repo":"%s","title":"Fix %[2]s","body":%s,"labels":["bug"]}}`, r.user(), r.service(), hole),
				fmt.Sprintf(`{"name":"write_file","arguments":{"path":"/workspace/%s/notes.txt","content":%s}}`, r.service(), hole),
				fmt.Sprintf(`{"name":"run_command","arguments":{"command":%s,"cwd":"/srv/%s","timeout":%d}}`, hole, r.service(), r.between(5, 600)),
				fmt.Sprintf(`{"name":"send_email","arguments":{"to":["%s@%s"],"subject":"%s","body":%s}}`, strings.ToLower(r.person()), r.domain(), r.service(), hole),
				fmt.Sprintf(`{"name":"remember","arguments":{"entities":[{"name":"%s","observations":["runs in eu-west-1",%s]}]}}`, r.service(), hole))
		}),
		at("argument with meta", "call", func(r random) string {
			return fmt.Sprintf(`{"name":"search","arguments":{"query":%s,"limit":%d},"_meta":{"progressToken":"%s"}}`, hole, r.between(1, 50), r.hex(8))
		}),
		at("result text", "result", func(r random) string {
			return fmt.Sprintf(`{"content":[{"type":"text","text":%s}]}`, hole)
		}),
		at("result text", "result", func(r random) string {
			return fmt.Sprintf(`{"content":[{"type":"text","text":"%d matches"},{"type":"text","text":%s}],"isError":%v}`, r.between(1, 30), hole, r.IntN(3) == 0)
		}),
		at("structured text", "result", func(r random) string {
			return fmt.Sprintf(`{"content":[{"type":"text","text":"done"}],"structuredContent":{"status":"ok","items":[{"id":%d,"body":%s,"author":"%s"}],"nextCursor":null}}`, r.between(1, 9999), hole, r.user())
		}),
		at("embedded resource", "result", func(r random) string {
			return fmt.Sprintf(`{"content":[{"type":"resource","resource":{"uri":"file:///srv/%s/README","mimeType":"text/plain","text":%s}}]}`, r.service(), hole)
		}),
		at("resource", "result", func(r random) string {
			return fmt.Sprintf(`{"contents":[{"uri":"file:///home/%s/%s","mimeType":"text/plain","text":%s}]}`, r.user(), r.service(), hole)
		}),
		at("prompt", "result", func(r random) string {
			return fmt.Sprintf(`{"description":"Review","messages":[{"role":"user","content":{"type":"text","text":%s}}]}`, hole)
		}),
		at("completion", "result", func(r random) string {
			return fmt.Sprintf(`{"completion":{"values":["main",%s],"total":2,"hasMore":false}}`, hole)
		}),
		at("log", "notifications/message", func(r random) string {
			return fmt.Sprintf(`{"level":"debug","logger":"%s","data":%s}`, r.service(), hole)
		}),
		at("progress", "notifications/progress", func(r random) string {
			return fmt.Sprintf(`{"progressToken":"%s","progress":%d,"total":100,"message":%s}`, r.hex(6), r.between(1, 99), hole)
		}),
		at("error", "error", func(r random) string {
			return fmt.Sprintf(`{"code":-32603,"message":"upstream failed","data":{"stderr":%s}}`, hole)
		}),
		at("error message", "error", func(r random) string {
			return fmt.Sprintf(`{"code":-32000,"message":%s}`, hole)
		}),
		at("sampling", "sampling/createMessage", func(r random) string {
			return fmt.Sprintf(`{"messages":[{"role":"user","content":{"type":"text","text":%s}}],"maxTokens":%d}`, hole, r.between(100, 4000))
		}),
	}
}

// objectPlaces take a JSON object.
func objectPlaces() []place {
	return []place{
		at("arguments", "call", func(r random) string {
			return fmt.Sprintf(`{"name":"%s","arguments":%s}`, pick(r, "deploy_service", "update_config", "create_connection", "http_request"), hole)
		}),
		at("arguments", "call", func(r random) string {
			return fmt.Sprintf(`{"name":"apply","arguments":{"dryRun":false,"spec":%s}}`, hole)
		}),
		at("structured", "result", func(r random) string {
			return fmt.Sprintf(`{"content":[],"structuredContent":%s}`, hole)
		}),
		at("structured list", "result", func(r random) string {
			return fmt.Sprintf(`{"content":[{"type":"text","text":"2 entries"}],"structuredContent":{"result":[{"id":1},%s]}}`, hole)
		}),
		at("log data", "notifications/message", func(r random) string {
			return fmt.Sprintf(`{"level":"info","data":%s}`, hole)
		}),
		at("error data", "error", func(r random) string {
			return fmt.Sprintf(`{"code":-32602,"message":"invalid params","data":%s}`, hole)
		}),
		at("elicitation", "result", func(r random) string {
			return fmt.Sprintf(`{"action":"accept","content":%s}`, hole)
		}),
	}
}

// blobPlace takes text as the bytes of a resource.
func blobPlace() place {
	return at("resource blob", "result", func(r random) string {
		return fmt.Sprintf(`{"contents":[{"uri":"file:///srv/%s/data","mimeType":"application/octet-stream","blob":%s}]}`, r.service(), hole)
	})
}

// split puts text into two blocks of content, cut within the secret.
func split(r random, p piece) piece {
	cut := r.between(len(p.mid)/3, 2*len(p.mid)/3)
	for cut > 0 && p.mid[cut]&0xc0 == 0x80 {
		cut--
	}
	q := p.each(quote)
	mid := quote(p.mid[:cut]) + `"},{"type":"text","text":"` + quote(p.mid[cut:])
	return piece{before: q.before, mid: mid, after: q.after}.around(rpc(r, "result", fmt.Sprintf(`{"content":[{"type":"text","text":"%s"}]}`, hole)))
}
