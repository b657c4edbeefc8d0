package secretset

import (
	"fmt"
	"slices"
	"strings"
)

// form is a way in which people and programs write a secret down.
type form struct {
	name  string
	tiers string // "" is all but conn and key
	lines bool   // takes values of several lines
	write func(r random, k kind, v piece) piece
}

// formsOf lists the forms for a value of a kind.
func formsOf(k kind, v piece) []form {
	var out []form
	for _, f := range forms() {
		if !strings.Contains(f.tiers, k.tier) && !(f.tiers == "" && k.tier != Conn && k.tier != Key) {
			continue
		}
		if strings.Contains(v.String(), "\n") && !f.lines {
			continue
		}
		out = append(out, f)
	}
	return out
}

// as is a form of one template.
func as(name, tiers string, template func(r random, k kind) string) form {
	return form{name, tiers, false, func(r random, k kind, v piece) piece { return v.around(template(r, k)) }}
}

// asJSON is a form whose template is a JSON object; the hole takes a string.
func asJSON(name, tiers string, template func(r random, k kind) string) form {
	return form{name, tiers, true, func(r random, k kind, v piece) piece {
		return v.quoted().around(template(r, k)).object()
	}}
}

func forms() []form {
	return slices.Concat(settings(), documents(), commands(), sentences(), carried())
}

// settings are files of settings, and code.
func settings() []form {
	return []form{
		as("env", "", func(r random, k kind) string {
			return fmt.Sprintf("NODE_ENV=production\nPORT=%d\nLOG_LEVEL=info\n%s=%s\nFEATURE_X=%v\n", r.between(3000, 9000), k.name(r), hole, r.IntN(2) == 0)
		}),
		as("env quoted", "", func(r random, k kind) string {
			return fmt.Sprintf("# %s\nAPP_NAME=%q\n%s=\"%s\"\nDEBUG=false\n", r.service(), r.service(), k.name(r), hole)
		}),
		as("export", "", func(r random, k kind) string {
			return fmt.Sprintf("export PATH=$HOME/bin:$PATH\nexport %s=%s\nexport EDITOR=vim", k.name(r), pick(r, hole, "'"+hole+"'", `"`+hole+`"`))
		}),
		as("yaml", "", func(r random, k kind) string {
			return fmt.Sprintf("%s:\n  replicas: %d\n  %s: %s\n  region: eu-west-1\n", r.service(), r.between(1, 9), snake(k.name(r)), pick(r, hole, `"`+hole+`"`, "'"+hole+"'"))
		}),
		as("toml", "", func(r random, k kind) string {
			return fmt.Sprintf("[%s]\nhost = %q\n%s = \"%s\"\ntimeout = %d\n", r.service(), r.host(), snake(k.name(r)), hole, r.between(5, 60))
		}),
		as("ini", "", func(r random, k kind) string {
			return fmt.Sprintf("[%s]\nserver = %s\n%s = %s\nretries = 3\n", r.service(), r.host(), snake(k.name(r)), hole)
		}),
		as("properties", "", func(r random, k kind) string {
			return fmt.Sprintf("server.port=8080\napp.%s.%s=%s\nmanagement.endpoints=health\n", r.service(), strings.ReplaceAll(snake(k.name(r)), "_", pick(r, "-", ".", "_")), hole)
		}),
		as("xml", "", func(r random, k kind) string {
			return pick(r,
				fmt.Sprintf("<settings>\n  <user>%s</user>\n  <%s>%s</%[2]s>\n</settings>", r.user(), camel(k.name(r)), hole),
				fmt.Sprintf(`<appSettings><add key="Timeout" value="30"/><add key="%s" value="%s"/></appSettings>`, pascal(k.name(r)), hole))
		}),
		as("go", "", func(r random, k kind) string {
			return fmt.Sprintf("func newClient() *Client {\n\tconst %s = \"%s\"\n\treturn New(%q, %[1]s)\n}\n", camel(k.name(r)), hole, r.service())
		}),
		as("python", "", func(r random, k kind) string {
			return pick(r,
				fmt.Sprintf("import requests\n\n%s = '%s'\n\ndef fetch():\n    return client(%[1]s).get('/v1/%[3]s')\n", k.name(r), hole, r.database()),
				fmt.Sprintf("client = Client(\n    host=%q,\n    %s=\"%s\",\n    timeout=30,\n)\n", r.host(), snake(k.name(r)), hole),
				fmt.Sprintf("os.environ[\"%s\"] = \"%s\"\nmain()\n", k.name(r), hole))
		}),
		as("javascript", "", func(r random, k kind) string {
			return pick(r,
				fmt.Sprintf("const %s = '%s';\nexport default new Client({ region: 'eu' });\n", camel(k.name(r)), hole),
				fmt.Sprintf("module.exports = {\n  service: '%s',\n  %s: '%s',\n};\n", r.service(), camel(k.name(r)), hole),
				fmt.Sprintf("const c = new Client({ host: \"%s\", %s: process.env.%s || \"%s\" })", r.host(), camel(k.name(r)), k.name(r), hole))
		}),
		as("java", "", func(r random, k kind) string {
			return fmt.Sprintf("    private static final String %s = \"%s\";\n    private final int retries = %d;\n", k.name(r), hole, r.between(1, 9))
		}),
		as("terraform", "", func(r random, k kind) string {
			return fmt.Sprintf("resource \"service\" %q {\n  name     = %[1]q\n  %s = \"%s\"\n  tags     = { env = \"prod\" }\n}\n", r.service(), snake(k.name(r)), hole)
		}),
		as("compose", "", func(r random, k kind) string {
			return fmt.Sprintf("services:\n  %s:\n    image: registry.%s/%[1]s:%[3]d\n    environment:\n      - TZ=UTC\n      - %[4]s=%[5]s\n", r.service(), r.domain(), r.between(1, 99), k.name(r), hole)
		}),
		as("kubernetes env", "", func(r random, k kind) string {
			return fmt.Sprintf("        env:\n        - name: TZ\n          value: UTC\n        - name: %s\n          value: %s\n", k.name(r), pick(r, hole, `"`+hole+`"`))
		}),
		as("diff", "", func(r random, k kind) string {
			return fmt.Sprintf("diff --git a/.env b/.env\nindex %s..%s 100644\n--- a/.env\n+++ b/.env\n@@ -%d,3 +%[3]d,4 @@\n LOG_LEVEL=info\n-%[4]s=\n+%[4]s=%[5]s\n TZ=UTC\n", r.hex(7), r.hex(7), r.between(1, 40), k.name(r), hole)
		}),
	}
}

// documents are JSON, tables, logs.
func documents() []form {
	return []form{
		asJSON("json field", "", func(r random, k kind) string {
			return fmt.Sprintf(`{"service":"%s","host":"%s","%s":%s,"retries":%d}`, r.service(), r.host(), k.spelt(r), hole, r.between(1, 9))
		}),
		asJSON("json field", "", func(r random, k kind) string {
			return fmt.Sprintf(`{"id":%d,"connection":{"%s":%s,"user":"%s","tls":true},"createdAt":"%s"}`, r.between(1, 9999), k.spelt(r), hole, r.user(), r.time())
		}),
		asJSON("json name and value", "", func(r random, k kind) string {
			return fmt.Sprintf(`{"environment":[{"name":"TZ","value":"UTC"},{"name":"%s","value":%s}],"image":"%s"}`, k.name(r), hole, r.service())
		}),
		as("markdown table", "", func(r random, k kind) string {
			return fmt.Sprintf("| Name | Value |\n|---|---|\n| region | eu-west-1 |\n| %s | %s |\n", k.name(r), pick(r, hole, "`"+hole+"`"))
		}),
		as("csv", "prefix", func(r random, k kind) string {
			return fmt.Sprintf("name,owner,token,created\n%s,%s,%s,%s\n", r.service(), r.person(), hole, r.date())
		}),
		as("log", "", func(r random, k kind) string {
			return pick(r,
				fmt.Sprintf("%s INFO [%s] starting with %s=%s workers=%d\n%[1]s INFO ready", r.time(), r.service(), snake(k.name(r)), hole, r.between(1, 32)),
				fmt.Sprintf("time=%s level=DEBUG msg=\"config loaded\" service=%s %s=%s", r.time(), r.service(), snake(k.name(r)), hole),
				fmt.Sprintf("[%s] DEBUG %s - resolved setting %s: %s", r.time(), r.service(), k.name(r), hole))
		}),
		asJSON("json log", "", func(r random, k kind) string {
			return fmt.Sprintf(`{"ts":"%s","level":"debug","caller":"%s/main.go:%d","msg":"config","%s":%s}`, r.time(), r.service(), r.between(10, 400), snake(k.name(r)), hole)
		}),
		as("stack trace", "prefix", func(r random, k kind) string {
			return fmt.Sprintf("Error: 401 Unauthorized for token %s\n    at request (/app/node_modules/client/index.js:%d:17)\n    at async main (/app/%s.js:12:3)", hole, r.between(10, 900), r.service())
		}),
		as("html", "generic", func(r random, k kind) string {
			return fmt.Sprintf(`<form method="post"><input type="text" name="user" value="%s"><input type="password" name="%s" value="%s"></form>`, r.user(), snake(k.name(r)), hole)
		}),
		{"json file", "key", true, func(r random, k kind, v piece) piece {
			return v.quoted().around(fmt.Sprintf(`{"version":1,"name":"%s","%s":%s}`, r.service(), camel(k.name(r)), hole)).object()
		}},
		{"yaml block", "key", true, func(r random, k kind, v piece) piece {
			indented := v.each(func(s string) string { return strings.ReplaceAll(s, "\n", "\n    ") })
			return indented.around(fmt.Sprintf("%s:\n  %s: |\n    %s\n", r.service(), snake(k.name(r)), hole))
		}},
		{"env with escaped lines", "key", true, func(r random, k kind, v piece) piece {
			flat := v.each(func(s string) string { return strings.NewReplacer("\n", `\n`, `"`, `\"`).Replace(s) })
			return flat.around(fmt.Sprintf("NODE_ENV=production\n%s=\"%s\"\n", k.name(r), hole))
		}},
		{"file", "key conn", true, func(r random, k kind, v piece) piece { return v }},
		{"file in prose", "key", true, func(r random, k kind, v piece) piece {
			return v.around(fmt.Sprintf("Here is the content of %s.pem as requested:\n\n```\n%s\n```\n\nLet me know if I should rotate it.", r.service(), hole))
		}},
	}
}

// commands are what stands in a shell, its history and its scripts.
func commands() []form {
	return []form{
		as("docker run", "", func(r random, k kind) string {
			return fmt.Sprintf("docker run --rm -e TZ=UTC -e %s=%s registry.%s/%s:latest", k.name(r), hole, r.domain(), r.service())
		}),
		as("history", "", func(r random, k kind) string {
			n := r.between(200, 900)
			return fmt.Sprintf("  %d  cd /srv/%s\n  %d  export %s=%s\n  %d  make deploy", n, r.service(), n+1, k.name(r), hole, n+2)
		}),
		as("one command", "", func(r random, k kind) string {
			return fmt.Sprintf("%s=%s %s --region eu-west-1", k.name(r), hole, pick(r, "npm run deploy", "terraform apply", "python sync.py", "./run.sh"))
		}),
		as("flag", "", func(r random, k kind) string {
			return fmt.Sprintf("%s --verbose --%s%s%s --output json", r.service()+"ctl sync", strings.ReplaceAll(snake(k.name(r)), "_", "-"), pick(r, " ", "="), hole)
		}),
		as("bearer", "prefix", func(r random, k kind) string {
			return fmt.Sprintf("curl -s https://api.%s/v1/%s -H 'Authorization: Bearer %s' -H 'Accept: application/json'", r.domain(), r.database(), hole)
		}),
		as("header", "prefix", func(r random, k kind) string {
			return fmt.Sprintf("GET /v2/%s HTTP/1.1\r\nHost: api.%s\r\n%s: %s\r\nAccept: */*\r\n", r.database(), r.domain(), pick(r, "X-API-Key", "X-Auth-Token", "Authorization", "PRIVATE-TOKEN"), hole)
		}),
		as("query", "prefix", func(r random, k kind) string {
			return fmt.Sprintf("https://api.%s/v1/%s?%s=%s&limit=50", r.domain(), r.database(), pick(r, "token", "api_key", "key", "access_token"), hole)
		}),
	}
}

// sentences are what people and models write.
func sentences() []form {
	return []form{
		as("prose", "prefix", func(r random, k kind) string {
			return pick(r,
				fmt.Sprintf("Hi %s, use %s for the %s account until Friday, then I rotate it.", r.person(), hole, k.vendor),
				fmt.Sprintf("I found this %s credential in the repository: %s. Should I revoke it?", k.vendor, hole),
				fmt.Sprintf("The deploy failed because %s (%s) has expired.", hole, k.vendor),
				fmt.Sprintf("%s wrote: \"%s works for me\"", r.person(), hole))
		}),
		as("bare", "prefix", func(r random, k kind) string { return hole }),
		as("list", "prefix", func(r random, k kind) string {
			return fmt.Sprintf("Open points:\n- ask %s about the quota\n- %s: `%s`\n- update the runbook", r.person(), k.vendor, hole)
		}),
		as("prose", "context", func(r random, k kind) string {
			word := strings.ToLower(words(k.name(r)))
			return pick(r,
				fmt.Sprintf("Hi %s, our %s is %s, please do not share it.", r.person(), word, hole),
				fmt.Sprintf("Use this %s: %s", word, hole),
				fmt.Sprintf("%s sent the new %s (%s) this morning.", r.person(), word, hole),
				fmt.Sprintf("- %s: %s\n- owner: %s", words(k.name(r)), hole, r.person()))
		}),
		as("prose", "generic", func(r random, k kind) string {
			word := strings.ToLower(words(k.name(r)))
			return pick(r,
				fmt.Sprintf("Hi %s, the %s for %s is %s and expires in March.", r.person(), word, r.service(), hole),
				fmt.Sprintf("I set the %s to %s on %s.", word, pick(r, hole, "`"+hole+"`", `"`+hole+`"`), r.host()),
				fmt.Sprintf("%s: %s\nUser: %s\nURL: https://%s", strings.ToUpper(word[:1])+word[1:], hole, r.user(), r.host()),
				fmt.Sprintf("**%s**: `%s`", words(k.name(r)), hole))
		}),
	}
}

// carried are the forms of what already gives itself away.
func carried() []form {
	return []form{
		as("in prose", "conn", func(r random, k kind) string {
			return pick(r,
				fmt.Sprintf("I could connect with this:\n\n%s\n\nbut the table %s is empty.", hole, r.database()),
				fmt.Sprintf("For the record (%s, %s):\n%s", r.person(), r.date(), hole))
		}),
		as("code block", "conn", func(r random, k kind) string {
			return fmt.Sprintf("Steps to reproduce:\n\n```\n%s\n```\n\nExpected: %d rows.", hole, r.between(2, 900))
		}),
		asJSON("in a json field", "conn", func(r random, k kind) string {
			return fmt.Sprintf(`{"id":"%s","kind":"note","%s":%s,"updated":"%s"}`, r.hex(8), camel(k.name(r)), hole, r.time())
		}),
		as("in a log", "conn", func(r random, k kind) string {
			return fmt.Sprintf("%s WARN %s slow start: %s\n%s INFO ready", r.time(), r.service(), hole, r.time())
		}),
		as("in an env", "conn", func(r random, k kind) string {
			return fmt.Sprintf("TZ=UTC\n%s=%s\nWORKERS=%d\n", k.name(r), pick(r, hole, `"`+hole+`"`), r.between(1, 16))
		}),
		as("in code", "conn", func(r random, k kind) string {
			return fmt.Sprintf("    %s := `%s`\n    run(%[1]s)\n", camel(k.name(r)), hole)
		}),
	}
}

// Spellings of the name of a setting.

// name is one of the names of the kind.
func (k kind) name(r random) string { return pick(r, k.keys...) }

// spelt is one of the names as JSON keys are spelt.
func (k kind) spelt(r random) string {
	n := k.name(r)
	return pick(r, n, camel(n), camel(n), snake(n), snake(n), pascal(n), strings.ReplaceAll(snake(n), "_", "-"))
}

func snake(name string) string { return strings.ToLower(name) }

func pascal(name string) string {
	parts := strings.FieldsFunc(name, func(c rune) bool { return c == '_' })
	for i, p := range parts {
		if strings.ToUpper(p) == p {
			parts[i] = p[:1] + strings.ToLower(p[1:])
		}
	}
	return strings.Join(parts, "")
}

func camel(name string) string {
	p := pascal(name)
	return strings.ToLower(p[:1]) + p[1:]
}

// words are as in a sentence: "GitHub token" would be "Github Token" here.
func words(name string) string {
	parts := strings.FieldsFunc(name, func(c rune) bool { return c == '_' })
	for i, p := range parts {
		switch p {
		case "API", "JWT", "DB", "FTP", "SMTP", "LDAP", "SSH", "GPG", "AWS", "IBM", "SDK", "HMAC", "OIDC", "SSO":
		default:
			parts[i] = p[:1] + strings.ToLower(p[1:])
		}
	}
	return strings.Join(parts, " ")
}
