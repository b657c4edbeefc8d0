package scan

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// maker makes random values without a literal of any.
type maker struct{ *rand.Rand }

func (m maker) of(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[m.IntN(len(alphabet))]
	}
	return string(b)
}

const (
	hexDigits = "0123456789abcdef"
	letters62 = base62
	lower36   = "0123456789abcdefghijklmnopqrstuvwxyz"
	letters64 = base62 + "+/"
	upper36   = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

func (m maker) hex(n int) string { return m.of(hexDigits, n) }
func (m maker) b64(n int) string { return base64.StdEncoding.EncodeToString(m.bytes(n)) }
func (m maker) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(m.IntN(256))
	}
	return b
}
func (m maker) uuid() string {
	h := m.hex(32)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

// harmless are documents without a secret, by category.
func harmless(m maker) map[string][]string {
	at := "@"
	return map[string][]string{
		"ids": {
			`{"id":"` + m.uuid() + `","key":"` + m.uuid() + `","token":"` + m.uuid() + `"}`,
			`{"sha":"` + m.hex(40) + `","tree":{"sha":"` + m.hex(40) + `"},"node_id":"MDQ6VXNlcjU4MzIzMQ=="}`,
			`{"arn":"arn:aws:iam::123456789012:role/deploy","instance":"i-` + m.hex(17) + `","subnet":"subnet-` + m.hex(17) + `"}`,
			`{"issue_key":"PROJ-123","project":{"key":"PROJ"}}`, `{"mac":"aa:bb:cc:dd:ee:ff","isbn":"978-3-16-148410-0"}`,
			`{"address":"0x` + m.hex(40) + `","token":"0x` + m.hex(40) + `","tx":"0x` + m.hex(64) + `"}`,
			`{"clientId":"` + m.uuid() + `","tenant_id":"` + m.uuid() + `","subscription":"/subscriptions/` + m.uuid() + `/resourceGroups/rg"}`,
			`commit ` + m.hex(40) + ` (HEAD -> main)`, `{"trace_id":"` + m.hex(32) + `","span_id":"` + m.hex(16) + `","datadog":{"trace_id":"` + m.of("0123456789", 19) + `"}}`,
		},
		"cursors": {
			`{"nextToken":"` + m.b64(60) + `"}`, `{"next_page_token":"` + m.b64(40) + `"}`, `{"pageToken":"` + m.of(letters62, 32) + `"}`, `{"continuation_token":"` + m.b64(33) + `"}`,
			`{"next_cursor":"` + m.b64(30) + `","cursor":"` + m.of(letters62, 40) + `"}`, `{"syncToken":"` + m.of(letters62, 32) + `"}`, `{"@odata.nextLink":"https://graph.microsoft.com/v1.0/users?$skiptoken=` + m.of(letters62, 60) + `"}`,
			`https://api.host.net/items?page_token=` + m.of(letters62, 40) + `&limit=10`,
			`{"paging":{"next":"https://api.host.net/v1/items?cursor=` + m.of(letters62, 40) + `"}}`,
		},
		"digests": {
			`github.com/x/y v1.2.3 h1:` + m.b64(32), `"integrity": "sha512-` + m.b64(64) + `"`, `{"etag":"\"` + m.hex(32) + `\"","sha256":"` + m.hex(64) + `"}`, `image: nginx@sha256:` + m.hex(64),
			`docker://registry.host.net/app:1.2@sha256:` + m.hex(64), `{"checksum":"` + m.hex(64) + `","nonce":"` + m.b64(16) + `"}`, `<link href="/app.` + m.hex(8) + `.css" integrity="sha384-` + m.b64(48) + `">`,
			`{"fingerprint":"SHA256:` + m.of(letters64, 43) + `"}`, `{"content_hash":"` + m.hex(64) + `","key_hash":"` + m.hex(64) + `"}`,
		},
		"public": {
			`{"publishableKey":"pk_live_` + m.of(letters62, 24) + `"}`, `STRIPE_PK=pk_test_` + m.of(letters62, 24), `{"public_key":"` + m.b64(32) + `"}`, `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI` + m.of(letters64, 43) + ` me` + at + `host`,
			`ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ` + m.of(letters64, 340), "-----BEGIN CERTIFICATE-----\nMII" + m.of(letters64, 61) + "\n" + m.of(letters64, 64) + "\n-----END CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----\n" + m.of(letters64, 64) + "\n-----END PUBLIC KEY-----",
			`{"kty":"RSA","n":"` + m.of(letters62, 342) + `","e":"AQAB"}`, `{"phc":"phc_` + m.of(letters62, 43) + `"}`, `{"mapbox":"pk.eyJ1Ijoi` + m.of(letters62, 50) + `.` + m.of(letters62, 22) + `"}`,
		},
		"placeholders": {
			`{"api_key":"YOUR_API_KEY"}`, `{"token":"<token>"}`, `TOKEN=${TOKEN}`, `password: changeme`, `api_key: xxxxxxxxxxxxxxxxxxxx`, `{"password":"********"}`, `export OPENAI_API_KEY=sk-...`, `AWS_ACCESS_KEY_ID=AKIAIOSFODNN7` + `EXAMPLE`,
			`AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCY` + `EXAMPLEKEY`, `Authorization: Bearer <token>`, `Authorization: Bearer $TOKEN`, `Authorization: Bearer YOUR_TOKEN_HERE`, `curl -H "Authorization: Bearer ${API_TOKEN}" https://api.host.net`, `curl -u user:password https://host.net`, `curl -u "$USER:$PASS" https://host.net`,
			`{"password":"[redacted]"}`, `{"secret":"{{ .Values.secret }}"}`, `secret: secret://vault/app#key`, `apiKey: process.env.API_KEY,`, `api_key = os.getenv("API_KEY")`, `token = get_token()`, `const password = req.body.password;`, `"token": "string"`, `{"token":{"type":"string","description":"The API token to use"}}`,
			`{"password":{"type":"string","minLength":8}}`, `{"description":"Password is required"}`, `The password is optional.`, `The password is wrong, try again.`, `the token is expired`, `Your API key is invalid.`, `The secret is stored in vault`, `password: required`, `{"name":"password","in":"formData","required":true}`,
			`ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`, `ghp_` + strings.Repeat("1234567890", 4)[:36], `sk_test_your_key_here_please`, `xoxb-your-token-here`, `glpat-xxxxxxxxxxxxxxxxxxxx`, `sk-ant-api03-...`, `password=%s`, `PASSWORD=$(cat /run/secrets/db)`, `--password-file /run/secrets/pw`, `--token-endpoint https://idp.host.net/token`,
			`passwordFile: /run/secrets/db_password`, `secretName: app-tls`, `secretKeyRef: {name: db, key: password}`, `{"secretName":"my-app-secret","key":"password"}`, `tokenType: Bearer`, `{"max_tokens":4096,"tokens":[1,2,3],"token_count":77}`, `{"token":"hello","logprob":-0.3}`, `auth: none`, `token: GITHUB_TOKEN`, `pwd: /home/user/project`, `PWD=/home/user/project`,
			`{"password":"Password1"}`, `{"passwordPolicy":"min-8-characters"}`, `{"key":"Enter"}`, `keyCode: 13`, `{"key":"value"}`,
		},
		"connections": {
			`postgres://user:password` + at + `localhost:5432/db`, `postgresql://postgres:postgres` + at + `localhost/db`, `amqp://guest:guest` + at + `localhost:5672/`, `mysql://root:root` + at + `127.0.0.1/x`, `redis://localhost:6379/0`, `mongodb://username:password` + at + `cluster0.mongodb.net/test`, `postgres://${DB_USER}:${DB_PASS}` + at + `db/app`, `https://user:pass` + at + `example.com/`, `mongodb+srv://<user>:<password>` + at + `cluster.mongodb.net`,
			`Server=localhost;Database=x;User Id=sa;Password=yourStrong(!)Password;`, `Server=db;Uid=app;Pwd={password};`, `DefaultEndpointsProtocol=https;AccountName=x;AccountKey=<key>;`, `jdbc:postgresql://localhost:5432/db?user=test&password=test`, `smtp://user:pass` + at + `smtp.example.com:587`, `http://host.net:8080/a` + at + `b`, `git` + at + `github.com:org/repo.git`,
		},
		"text": {
			`{"image":"data:image/png;base64,iVBORw0KGgo` + m.of(letters64, 300) + `"}`, `{"mappings":"AAAA,SAASA,IAAIC` + m.of("ABCDEFGH,;", 200) + `"}`, `{"version":"1.2.3","date":"2024-05-06T07:08:09Z"}`, `{"scope":"openid profile","grant_type":"client_credentials","token_endpoint":"https://idp.host.net/oauth2/token"}`,
			"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ntype: Opaque\nstringData:\n  password: ${DB_PASSWORD}\n", "env:\n- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: db\n      key: password\n", `{"csrf_token":"` + m.of(letters62, 40) + `"}`, `{"state":"` + m.of(letters62, 32) + `","nonce":"` + m.of(letters62, 32) + `"}`,
			`Use the access key to unlock the door, then log in with your user and password.`, `{"title":"Rotate the Datadog API key","body":"See DD-1234"}`, `Set the API key in the settings page to authenticate`, `.btn-` + m.hex(8) + `{color:#` + m.hex(6) + `}`, `{"s3":"https://bucket.s3.amazonaws.com/` + m.uuid() + `/file.png"}`,
		},
	}
}

func TestHarmlessIsLeftAlone(t *testing.T) {
	t.Parallel()
	for round := range uint64(12) {
		m := maker{rand.New(rand.NewPCG(7, round))}
		for category, docs := range harmless(m) {
			for _, doc := range docs {
				if hits := plainScan(doc); len(hits) > 0 {
					t.Errorf("%s: %s found in %s", category, hits, doc)
				}
			}
		}
		if t.Failed() {
			return
		}
	}
}

// TestSecretsInTheirPlaces looks for secrets without a mark of their own, in
// the forms in which people and programs write them.
func TestSecretsInTheirPlaces(t *testing.T) {
	t.Parallel()
	at := "@"
	missed := map[string]int{}
	n := 25
	for round := range uint64(n) {
		m := maker{rand.New(rand.NewPCG(9, round))}
		pw := m.of(letters62, 8) + "!" + m.of(letters62, 5) + "7q"
		tok := m.of(letters62, 40)
		for i, doc := range []string{
			`{"password":` + quote(pw) + `}`, `{"args":{"db_password":` + quote(pw) + `}}`, `DB_PASSWORD=` + pw, `password: ` + pw, `The password is ` + pw + `.`, `Log in with admin / ` + pw, `pw: ` + pw,
			`{"apiKey":"` + tok + `"}`, `API_KEY=` + m.hex(32), `{"access_token":"` + tok + `"}`, `The API token is ` + tok + `, keep it.`, `use ` + tok + ` as the API key`, `client_secret: ` + m.of(letters62, 32),
			`{"datadog_api_key":"` + m.hex(32) + `"}`, `DD_API_KEY=` + m.hex(32), `the Datadog API key is ` + m.hex(32), `Our Twilio auth token: ` + m.hex(32), `HEROKU_API_KEY=` + m.uuid(), `{"cloudflare":{"api_token":"` + tok + `"}}`,
			`AWS_SECRET_ACCESS_KEY=` + m.of(letters64, 40), `AKIA` + m.of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16) + ` / ` + m.of(letters64, 40), `aws_secret_access_key = ` + m.of(letters64, 40),
			`postgres://app:` + m.of(letters62, 14) + at + `db.internal:5432/app`, `mongodb+srv://svc:` + m.of(letters62, 12) + at + `c0.mongodb.net`, `redis://:` + m.of(letters62, 20) + at + `cache:6379/0`, `https://ci:` + m.of(letters62, 20) + at + `git.host.net/x.git`, `jdbc:mysql://db/x?user=app&password=` + m.of(letters62, 12),
			`Server=tcp:db,1433;Database=x;User ID=app;Password=` + pw + `;Encrypt=True;`, `DefaultEndpointsProtocol=https;AccountName=x;AccountKey=` + m.b64(64) + `;EndpointSuffix=core.windows.net`, `Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=` + m.b64(32),
			`Authorization: Basic ` + base64.StdEncoding.EncodeToString([]byte("deploy:"+pw)), `Authorization: Bearer ` + tok, `curl -u deploy:` + pw + ` https://api.host.net/`, `curl -H "X-Api-Key: ` + tok + `" https://api.host.net/`, `mysql -u root -p` + m.of(letters62, 12) + ` app`, `machine api.host.net login me password ` + m.of(letters62, 16),
			`db.host.net:5432:app:svc:` + m.of(letters62, 14), `//npm.host.net/:_authToken=` + m.uuid(), `{"auths":{"r.host.net":{"auth":"` + base64.StdEncoding.EncodeToString([]byte("bot:"+pw)) + `"}}}`, `https://x.blob.core.windows.net/c/f?sv=2022-11-02&se=2030-01-01&sp=r&sig=` + strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(m.b64(32)),
			`https://b.s3.amazonaws.com/f?X-Amz-Credential=x&X-Amz-Signature=` + m.hex(64), `deploy --token=` + tok, `tool --password ` + pw, `{"headers":{"Authorization":"Bearer ` + tok + `"}}`, `APP_KEY=base64:` + m.b64(32), "-----BEGIN RSA PRIVATE KEY-----\n" + m.of(letters64, 64) + "\n" + m.of(letters64, 64) + "\n-----END RSA PRIVATE KEY-----", `{"private_key":"-----BEGIN PRIVATE KEY-----\n` + m.of(letters64, 64) + `\n` + m.of(letters64, 64) + `\n-----END PRIVATE KEY-----\n"}`,
			base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"42","exp":1900000000}`)) + "." + m.of(letters62, 43), `otpauth://totp/x:me?secret=` + m.of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 32) + `&issuer=x`, `private key: 0x` + m.hex(64), `$2b$12$` + m.of("./"+letters62, 53), `root:$6$` + m.of(letters62, 12) + `$` + m.of("./"+letters62, 86) + `:19000:0:99999:7:::`,
			`https://api.host.net/v1?api_key=` + m.of(letters62, 32), `Das Passwort lautet ` + pw, `le mot de passe est ` + pw, `{"env":["GITHUB_TOKEN=` + tok + `"]}`, `export SECRET_KEY=` + m.hex(64), `<password>` + m.of(letters62, 14) + `</password>`, "kind: Secret\napiVersion: v1\ndata:\n  password: " + base64.StdEncoding.EncodeToString([]byte(pw)) + "\n",
			`sshpass -p '` + pw + `' ssh root` + at + `host`, `ALTER USER app WITH PASSWORD '` + pw + `'`, `Telegram: ` + m.of("123456789", 10) + `:AA` + m.of(letters62, 33), `{"slack":"https://hooks.slack.com/services/T` + m.of(upper36, 9) + `/B` + m.of(upper36, 10) + `/` + m.of(letters62, 24) + `"}`,
			`Use ` + tok + ` to log in`, `{"token":"` + tok + `"}`, `{"secret":"` + m.hex(40) + `"}`, `token=` + m.of(lower36, 32), `the new signing key is ` + m.b64(32), `{"client_secret":"` + m.uuid() + `"}`, `PASSWORD="hunter2"`, `password = "Tr0ub4dor&3"`,
			hex.EncodeToString(m.bytes(16)) + `-us13`, fmt.Sprintf(`{"note":"the secret is %s"}`, tok), `set ` + "`ADMIN_PASSWORD=" + pw + "`", "```\nAPI_TOKEN=" + tok + "\n```",
		} {
			if len(plainScan(doc)) == 0 {
				missed[fmt.Sprintf("%02d %s", i, doc[:min(len(doc), 60)])[:14]]++
				if round < 2 || missed[fmt.Sprintf("%02d %s", i, doc[:min(len(doc), 60)])[:14]] > n/5 {
					t.Logf("missed: %s", doc)
				}
			}
		}
	}
	for k, c := range missed {
		if c > n/10 {
			t.Errorf("%s: missed %d of %d", k, c, n)
		}
	}
}
