package rawjson

// scope is an object of the protocol whose keys are known.
type scope uint8

const (
	scopeParams scope = iota + 1
	scopeMeta
	scopeRef
)

// paramKey returns the spelling of a known key of params, given in lower
// case, and whether its value is compared or routed by.
func paramKey(lower []byte) (name string, exact bool) {
	switch string(lower) {
	case "name":
		return "name", true
	case "arguments":
		return "arguments", false
	case "uri":
		return "uri", true
	case "cursor":
		return "cursor", true
	case "ref":
		return "ref", false
	case "argument":
		return "argument", false
	case "context":
		return "context", false
	case "level":
		return "level", false
	case "_meta":
		return "_meta", false
	case "progresstoken":
		return "progressToken", true
	case "requestid":
		return "requestId", true
	case "reason":
		return "reason", false
	case "protocolversion":
		return "protocolVersion", false
	case "capabilities":
		return "capabilities", false
	case "clientinfo":
		return "clientInfo", false
	case "task":
		return "task", false
	case "taskid":
		return "taskId", true
	case "taskids":
		return "taskIds", false
	case "inputresponses":
		return "inputResponses", false
	case "requeststate":
		return "requestState", true
	case "notifications":
		return "notifications", false
	case "progress":
		return "progress", false
	case "total":
		return "total", false
	case "message":
		return "message", false
	case "messages":
		return "messages", false
	case "mode":
		return "mode", false
	case "requestedschema":
		return "requestedSchema", false
	case "url":
		return "url", false
	case "elicitationid":
		return "elicitationId", false
	}
	return "", false
}

// metaKey does the same for params._meta.
func metaKey(lower []byte) (name string, exact bool) {
	switch string(lower) {
	case "progresstoken":
		return "progressToken", true
	case "io.modelcontextprotocol/protocolversion":
		return "io.modelcontextprotocol/protocolVersion", false
	case "io.modelcontextprotocol/clientinfo":
		return "io.modelcontextprotocol/clientInfo", false
	case "io.modelcontextprotocol/clientcapabilities":
		return "io.modelcontextprotocol/clientCapabilities", false
	case "io.modelcontextprotocol/loglevel":
		return "io.modelcontextprotocol/logLevel", false
	case "io.modelcontextprotocol/subscriptionid":
		return "io.modelcontextprotocol/subscriptionId", false
	case "io.modelcontextprotocol/related-task":
		return "io.modelcontextprotocol/related-task", false
	case "io.modelcontextprotocol/serverinfo":
		return "io.modelcontextprotocol/serverInfo", false
	}
	return "", false
}

// refKey does the same for params.ref.
func refKey(lower []byte) (name string, exact bool) {
	switch string(lower) {
	case "type":
		return "type", false
	case "name":
		return "name", true
	case "uri":
		return "uri", true
	}
	return "", false
}

func (s scope) known(lower []byte) (name string, exact bool) {
	switch s {
	case scopeParams:
		return paramKey(lower)
	case scopeMeta:
		return metaKey(lower)
	default:
		return refKey(lower)
	}
}

// CheckParams makes sure that params, an object, means the same to every
// reader.
//
// At every depth a key that stands twice in one object (compared decoded) and
// invalid UTF-8 are refused, and nesting is limited to depth levels, params
// included. In params, params._meta and params.ref, a key that equals one of
// the protocol's own only under Unicode simple case folding is refused. The
// values that requests are routed or matched by (name, uri, cursor, taskId,
// requestState, requestId, progressToken, ref.name, ref.uri) hold no NUL, no
// lone surrogate and no number beyond a 64-bit float; elsewhere, as in
// arguments, these pass.
//
// The error is a [*Fault] whose path begins with params and whose offset
// counts from the start of params.
func CheckParams(params []byte, depth int) error {
	c := checker{b: params, keys: keyset{b: params}}
	i := ws(params, 0)
	if i >= len(params) || params[i] != '{' {
		if at, code := skip(params, i, depth); code != codeOK {
			return fault(params, "params", at, code, depth)
		}
		return fault(params, "params", i, codeParams, nil)
	}
	at, code := c.object(i, depth, scopeParams)
	if code == codeOK {
		if at = ws(params, at); at == len(params) {
			return nil
		}
		code = codeTrailing
	}
	if code == codeCase {
		return fault(params, "params", at, code, c.want)
	}
	return fault(params, "params", at, code, depth)
}

// checker is the state of one CheckParams.
type checker struct {
	b    []byte
	keys keyset
	want string // the known key that a refused one resembles
}

// object checks the object at b[i], whose keys the protocol knows. It returns
// the index behind it, or the place and code of the fault.
func (c *checker) object(i, depth int, s scope) (int, code) {
	if depth < 1 {
		return i, codeDepth
	}
	c.keys.open()
	m := members{b: c.b, pos: i}
	for m.next() {
		if f := c.keys.add(m.key, m.keyEnd, m.flags); f != codeOK {
			if f == codeUTF8 {
				return m.key + firstInvalid(c.b[m.key:m.keyEnd]), f
			}
			return m.key, f
		}
		key := c.keys.last()
		var (
			name  string
			exact bool
			buf   [64]byte
		)
		if folded, ok := foldKey(&buf, key); ok {
			if name, exact = s.known(folded); name != "" && name != string(key) {
				c.want = name
				return m.key, codeCase
			}
		}
		start := m.pos
		var (
			end int
			f   code
		)
		switch {
		case s == scopeParams && name == "_meta" && start < len(c.b) && c.b[start] == '{':
			end, f = c.object(start, depth-1, scopeMeta)
		case s == scopeParams && name == "ref" && start < len(c.b) && c.b[start] == '{':
			end, f = c.object(start, depth-1, scopeRef)
		default:
			end, f = scan(c.b, start, depth-1, &c.keys)
		}
		if f != codeOK {
			return end, f
		}
		if exact {
			if f := checkScalar(c.b[start:end]); f != codeOK {
				return start, f
			}
		}
		m.pos = end
	}
	if m.fault != codeOK {
		return m.pos, m.fault
	}
	if at, dup := c.keys.close(); dup {
		return at, codeDuplicate
	}
	return m.pos, codeOK
}
