package secretset

import (
	"fmt"
	"strings"
)

// placeholderNegatives stand where a secret would: what documentation and
// templates show, and what is left of a secret that was masked.
func placeholderNegatives() []category {
	f := fmt.Sprintf
	return []category{
		text("placeholder in env", func(r random) string {
			return pick(r,
				f("API_KEY=YOUR_API_KEY\nDB_PASSWORD=your-password-here\n%s_TOKEN=<your-token>\n", strings.ToUpper(r.service())),
				"OPENAI_API_KEY=sk-your-key-here\nANTHROPIC_API_KEY=sk-ant-your-api-key\nGITHUB_TOKEN=ghp_your_token_here\n",
				"SECRET_KEY=change-me\nJWT_SECRET=replace_this_with_a_long_random_string\nPASSWORD=\n",
				"SLACK_BOT_TOKEN=xoxb-your-bot-token\nSLACK_APP_TOKEN=xapp-your-app-token\n",
				"AWS_SECRET_ACCESS_KEY=<AWS_SECRET_ACCESS_KEY>\nAWS_SESSION_TOKEN=INSERT_SESSION_TOKEN_HERE\n",
				"STRIPE_SECRET_KEY=sk_test_...\nSENDGRID_API_KEY=SG.xxxxx.yyyyy\nHF_TOKEN=hf_***\n")
		}),
		data("placeholder in json", func(r random) string {
			return pick(r,
				`{"apiKey":"YOUR_API_KEY","apiSecret":"YOUR_API_SECRET_GOES_HERE","password":"<password>"}`,
				`{"mcpServers":{"github":{"command":"npx","env":{"GITHUB_PERSONAL_ACCESS_TOKEN":"<YOUR_TOKEN>"}}}}`,
				`{"token":"example-token","client_secret":"my-client-secret","password":"password"}`,
				`{"password":"changeme","admin_password":"changeit","token":"todo","secret":"TBD"}`,
				`{"access_token":"ACCESS_TOKEN","refresh_token":"REFRESH_TOKEN","id_token":"ID_TOKEN"}`,
				`{"api_key":"insert-your-key-here","secretKey":"dummy","authToken":"fake-token-for-tests"}`)
		}),
		text("angle brackets", func(r random) string {
			return pick(r,
				f("curl -H \"Authorization: Bearer <token>\" https://api.%s/v1/me", r.domain()),
				f("curl -u <username>:<password> https://%s/api", r.host()),
				"Set `token: <personal-access-token>` and `secret: [your secret]` in the file.",
				f("psql postgresql://<user>:<password>@%s:5432/%s", r.host(), r.database()))
		}),
		text("variables", func(r random) string {
			return pick(r,
				f("curl -H \"Authorization: Bearer $TOKEN\" -u \"$USER:$PASSWORD\" https://api.%s", r.domain()),
				f("DATABASE_URL=postgres://${DB_USER}:${DB_PASSWORD}@%s:5432/%s\n", r.host(), r.database()),
				"password: {{ vault_db_password }}\ntoken: \"{{ lookup('env', 'API_TOKEN') }}\"\n",
				"env:\n  NPM_TOKEN: ${{ secrets.NPM_TOKEN }}\n  PASSWORD: ${{ secrets.DB_PASSWORD }}\n",
				"export API_KEY=$(pass show prod/api-key)\nexport TOKEN=`cat /run/secrets/token`\n",
				"docker run -e PASSWORD=\"${PASSWORD:?missing}\" -e API_KEY=$API_KEY image",
				f("jdbc:postgresql://%s/%s?user=${user}&password=${password}", r.host(), r.database()),
				"Password=%DB_PASSWORD%;User Id=%DB_USER%;\nset TOKEN=%GITHUB_TOKEN%")
		}),
		text("masked", func(r random) string {
			return pick(r,
				f("token: ****************%s\npassword: ********\n", r.expand("[A-Za-z0-9]{4}")),
				f("Using API key sk-...%s for %s", r.expand("[A-Za-z0-9]{4}"), r.service()),
				f("GITHUB_TOKEN=ghp_%s\nAWS_ACCESS_KEY_ID=AKIA************%s\n", strings.Repeat("*", 36), r.expand("[A-Z2-7]{4}")),
				"secret = (sensitive value)\npassword = (known after apply)\ntoken = <redacted>\n",
				"Authorization: Bearer [REDACTED]\nX-API-Key: [FILTERED]\nCookie: session=[redacted:session-cookie]\n",
				f("postgres://%s:*****@%s/%s", r.user(), r.host(), r.database()),
				f("xoxb-%s-xxxxxxxx", r.expand("[0-9]{4}")+"xxxxxx"))
		}),
		data("masked in json", func(r random) string {
			return pick(r,
				f(`{"apiKey":"****%s","password":"********","token":"[REDACTED]","secret":"•••••••••••"}`, r.expand("[A-Za-z0-9]{4}")),
				f(`{"last4":"%s","key_preview":"sk-ant-...%s","masked_token":"ghp_xxxx…%s"}`, r.expand("[0-9]{4}"), r.expand("[A-Za-z0-9]{4}"), r.expand("[A-Za-z0-9]{4}")),
				`{"password":"REDACTED","api_key":"<hidden>","token":"xxxxxxxxxxxxxxxxxxxxxxxx","secret":"--------"}`)
		}),
		text("crosses", func(r random) string {
			return pick(r,
				"token = \""+strings.Repeat("x", r.between(16, 44))+"\"",
				"GITHUB_TOKEN=ghp_"+strings.Repeat("x", 36)+"\nNPM_TOKEN=npm_"+strings.Repeat("X", 36),
				"sk-"+"ant-api03-"+strings.Repeat("x", 93)+"AA",
				"AKIA"+strings.Repeat("X", 16)+" / "+strings.Repeat("X", 40),
				"api_key: "+strings.Repeat("0", 32)+"\nsecret: "+strings.Repeat("a", 40),
				"AIza"+strings.Repeat("X", 35)+"\nxoxb-"+strings.Repeat("0", 12)+"-"+strings.Repeat("0", 12)+"-"+strings.Repeat("x", 24))
		}),
		text("documented examples", func(r random) string {
			aws := "AKIAIOSFODNN7" + "EXAMPLE"
			return pick(r,
				f("aws_access_key_id = %s\naws_secret_access_key = %s\n", aws, "wJalrXUtnFEMI/K7MDENG/bPxRfiCY"+"EXAMPLEKEY"),
				"postgres://user:password@localhost:5432/mydb or mysql://root:password@127.0.0.1/test",
				"https://user:pass@example.com/path and ftp://anonymous:guest@ftp.example.org",
				"machine example.com login USER password PASSWORD",
				"Authorization: Basic "+toBase64("username:password")+"\nAuthorization: Basic "+toBase64("Aladdin:open sesame"),
				"ghp_"+"1234567890abcdefghijklmnopqrstuvwxyz"+" or glpat-"+"xxxxxxxxxxxxxxxxxxxx",
				"amqp://guest:guest@localhost:5672/ and redis://:password@localhost:6379/0",
				"X-API-Key: abcdef123456 (example)\napi_key=1234567890abcdef1234567890abcdef (example)")
		}),
		text("token formats", func(r random) string {
			return pick(r,
				"Classic tokens match `ghp_[A-Za-z0-9]{36}`, fine-grained ones `github_pat_[A-Za-z0-9_]{82}`.",
				"Bot tokens start with xoxb-, app tokens with xapp-; Stripe's secret keys with sk_live_ or rk_live_.",
				"regex = '''(?i)(api[_-]?key|secret|token)['\"]?\\s*[:=]\\s*['\"]([0-9a-zA-Z]{32,45})['\"]'''",
				"The file begins with -----BEGIN PRIVATE "+"KEY----- and ends with -----END PRIVATE "+"KEY-----.",
				"-----BEGIN RSA PRIVATE "+"KEY-----\n...\n-----END RSA PRIVATE "+"KEY-----",
				"-----BEGIN OPENSSH PRIVATE "+"KEY-----\n<contents of your key>\n-----END OPENSSH PRIVATE "+"KEY-----",
				"An access key id looks like AKIA followed by 16 characters, an Anthropic key like sk-ant-api03-….")
		}),
		text("local connections", func(r random) string {
			return pick(r,
				f("postgres://localhost:5432/%s\nredis://localhost:6379/0\nmongodb://localhost:27017\n", r.database()),
				f("Server=(localdb)\\mssqllocaldb;Database=%s;Trusted_Connection=True;MultipleActiveResultSets=true", r.database()),
				f("jdbc:mysql://%s:3306/%s?useSSL=true&serverTimezone=UTC", r.host(), r.database()),
				f("Server=%s;Database=%s;Integrated Security=SSPI;", r.host(), r.database()),
				f("host=%s port=5432 dbname=%s user=%s sslmode=verify-full passfile=/etc/pgpass", r.host(), r.database(), r.user()),
				f("ssh://git@%s:22/%s.git https://%s@dev.azure.com/%s", r.domain(), r.service(), r.user(), r.service()),
				f("kafka://%s:9092,%s:9092/%s amqp://%s@%s", r.host(), r.host(), r.database(), r.user(), r.host()))
		}),
	}
}

// referenceNegatives say where a secret is, not what it is.
func referenceNegatives() []category {
	f := fmt.Sprintf
	return []category{
		data("reference", func(r random) string {
			return pick(r,
				f(`{"password":"secret://vault/prod/%s#password","token":"op://prod/%s/credential","key":"se://%s"}`, r.service(), r.service(), r.service()),
				f(`{"passwordFrom":"arn:aws:ssm:eu-west-1:%s:parameter/prod/%s/password","secret":"projects/%d/secrets/%s/versions/latest"}`, r.expand("[1-9][0-9]{11}"), r.service(), r.between(1e5, 9e6), r.service()),
				f(`{"secretName":"%s-credentials","passwordKey":"db-password","existingSecret":"%s-postgresql","tokenFile":"/var/run/secrets/token"}`, r.service(), r.service()),
				f(`{"password":"vault:secret/data/%s#password","token":"ref+vault://kv/%s","apiKey":"env:API_KEY","key":"file:///run/secrets/key"}`, r.service(), r.service()),
				f(`{"apiKey":"${%s_API_KEY}","secret":"{{secrets.%s}}","password":"@Microsoft.KeyVault(SecretUri=https://%s.vault.azure.net/secrets/db/)"}`, strings.ToUpper(r.service()), r.service(), r.service()))
		}),
		text("kubernetes references", func(r random) string {
			return f("env:\n- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: %s-credentials\n      key: password\nimagePullSecrets:\n- name: registry-%s\nserviceAccountName: %s-token-reader\n", r.service(), r.service(), r.service())
		}),
		text("files of secrets", func(r random) string {
			return f("POSTGRES_PASSWORD_FILE=/run/secrets/postgres_password\nGOOGLE_APPLICATION_CREDENTIALS=/etc/%s/sa.json\nSSH_KEY_PATH=~/.ssh/id_ed25519\nAPI_TOKEN_PATH=%s/token\n", r.service(), "/var/lib/"+r.service())
		}),
		data("metadata of secrets", func(r random) string {
			return f(`{"Name":"prod/%s/db-password","VersionId":"%s","LastRotated":"%s","key_id":"%s","token_name":"%s-deploy","token_type":"bearer","expires_in":3600,"scope":"repo read:org"}`, r.service(), r.uuid(), r.date(), r.hex(16), r.service())
		}),
		data("list of keys", func(r random) string {
			return f(`{"keys":[{"AccessKeyStatus":"Active","UserName":"%s","CreateDate":"%s"},{"id":%d,"title":"%s laptop","read_only":true,"fingerprint":"SHA256:%s"}]}`, r.user(), r.time(), r.between(1, 9e6), r.person(), r.expand("[A-Za-z0-9+/]{43}"))
		}),
	}
}
