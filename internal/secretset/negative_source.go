package secretset

import (
	"fmt"
	"strings"
)

// sourceNegatives are code and prose about secrets.
func sourceNegatives() []category {
	f := fmt.Sprintf
	return []category{
		text("code with passwords", func(r random) string {
			return pick(r,
				"func (s *Server) checkPassword(user, password string) error {\n\tif len(password) < minPasswordLength {\n\t\treturn ErrPasswordTooShort\n\t}\n\treturn bcrypt.CompareHashAndPassword(s.hashes[user], []byte(password))\n}\n",
				"def verify_password(plain_password: str, hashed_password: str) -> bool:\n    return pwd_context.verify(plain_password, hashed_password)\n\ntoken = create_access_token(data={\"sub\": user.username}, expires_delta=delta)\n",
				"const password = document.getElementById('password').value;\nconst token = await auth.currentUser.getIdToken(true);\nif (!password) throw new Error('password required');\n",
				"password = getpass.getpass('Password: ')\nsecret_key = os.environ['SECRET_KEY']\napi_key = config.get('api_key') or keyring.get_password('app', 'api_key')\n",
				"String password = System.getenv(\"DB_PASSWORD\");\nString token = request.getHeader(\"Authorization\").substring(7);\nprivate final PasswordEncoder passwordEncoder;\n",
				"let secret = std::env::var(\"JWT_SECRET\").expect(\"JWT_SECRET must be set\");\nlet token: AccessToken = client.exchange_code(code).request_async(http_client).await?;\n",
				"$password = $_POST['password'] ?? null;\n$hash = password_hash($password, PASSWORD_ARGON2ID);\n$token = bin2hex(random_bytes(32));\n",
				"user.password = params[:password]\nuser.reset_password_token = Devise.token_generator.generate(User, :reset_password_token)\n",
				"apiKey: process.env.OPENAI_API_KEY,\nclientSecret: config.auth.clientSecret,\ntoken: () => session.accessToken,\n")
		}),
		text("code with keys", func(r random) string {
			return pick(r,
				"for key, value := range headers {\n\treq.Header.Set(key, value)\n}\nprivateKey, err := x509.ParsePKCS8PrivateKey(block.Bytes)\n",
				"const cacheKey = `${userId}:${projectId}:${locale}`;\nconst sortKey = (a) => a.createdAt;\nconst primaryKey = 'order_id';\n",
				"def partition_key(row): return row['customer_id'] + '#' + row['region']\nTOKENIZER = AutoTokenizer.from_pretrained('bert-base-uncased')\n",
				"type TokenSource interface { Token() (*oauth2.Token, error) }\nvar ErrTokenExpired = errors.New(\"token expired\")\n",
				"secretKey := kms.NewSymmetricKey(ctx, \"projects/p/locations/global/keyRings/r/cryptoKeys/k\")\n",
				f("assert.Equal(t, \"expected token to be refreshed\", msg)\nmock.On(\"GetSecret\", \"%s-credentials\").Return(secret, nil)\n", r.service()))
		}),
		data("source search result", func(r random) string {
			return f(`{"matches":[{"path":"src/auth/%s_token.go","line":%d,"text":"token := strings.TrimPrefix(h, \"Bearer \")"},{"path":"src/password.ts","line":%d,"text":"export const validatePassword = (password: string) => PASSWORD_REGEX.test(password)"}]}`, r.service(), r.between(1, 900), r.between(1, 900))
		}),
		text("minified javascript", func(r random) string {
			var out strings.Builder
			for range r.between(6, 14) {
				out.WriteString(pick(r,
					"function e(t,n){return t.token=n.accessToken,t.password=void 0,r(t)}",
					"const{key:a,token:o,secret:i}=e;return{...s,key:a,auth:()=>o}",
					"var n=\"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ\";",
					"if(\"password\"===e.type||\"token\"===t)return!1;",
					f("t.exports=%q,__webpack_require__(%d),", r.hex(20), r.between(1, 9e4)),
					f("headers:{Authorization:\"Bearer \".concat(%s)},key:\"%s\"", r.expand("[a-z]"), r.service()),
					"e.prototype.setPassword=function(e){this._password=e,this.secretKey=e&&e.secretKey||this.getKey()},"))
			}
			return out.String()
		}),
		text("stylesheet", func(r random) string {
			return f(".password-input::placeholder{color:#%s}.token-list{background:url(data:image/svg+xml;charset=utf-8,%%3Csvg xmlns='http://www.w3.org/2000/svg'%%3E%%3Cpath d='M%d 0h24v24H0z'/%%3E%%3C/svg%%3E)}:root{--key-color:#%s;--secret-bg:rgba(%d,12,9,.5)}", r.hex(6), r.between(0, 90), r.hex(6), r.between(0, 255))
		}),
		data("json schema", func(r random) string {
			return f(`{"name":"login_%s","inputSchema":{"type":"object","properties":{"username":{"type":"string"},"password":{"type":"string","minLength":%d,"format":"password","description":"The password of the account"},"api_key":{"type":"string","pattern":"^[A-Za-z0-9]{32}$"},"token":{"type":"string","default":""}},"required":["username","password"]}}`, r.service(), r.between(8, 16))
		}),
		data("openapi", func(r random) string {
			return f(`{"components":{"securitySchemes":{"apiKey":{"type":"apiKey","in":"header","name":"X-API-Key"},"bearerAuth":{"type":"http","scheme":"bearer","bearerFormat":"JWT"}}},"security":[{"apiKey":[]}],"info":{"title":"%s"}}`, r.service())
		}),
		data("translations", func(r random) string {
			return pick(r,
				`{"password":"Password","forgotPassword":"Forgot your password?","confirmPassword":"Confirm password","passwordMismatch":"Passwords do not match"}`,
				`{"password":"Passwort","password_hint":"Mindestens zwölf Zeichen","token.expired":"Ihre Sitzung ist abgelaufen","apiKey.label":"API-Schlüssel"}`,
				`{"login.password":"Mot de passe","login.secret":"Clé secrète","token.copy":"Copier le jeton","login.forgot":"Mot de passe oublié ?"}`,
				`{"password":"パスワード","secretQuestion":"秘密の質問","apiKey":"APIキー","token":"トークン"}`,
				`{"password":"Contraseña","passwordPlaceholder":"Introduzca su contraseña","secret":"Secreto","apiKeyTitle":"Clave de API"}`)
		}),
		text("prose about passwords", func(r random) string {
			return pick(r,
				"The password must contain at least 12 characters, an upper case letter and a symbol.",
				f("%s asked to reset the password for %s; the token expired after 15 minutes.", r.person(), r.service()),
				"Passwords are hashed with Argon2id; tokens are stored encrypted and rotate every 90 days.",
				f("Password: see the vault under %s. Never paste tokens into tickets.", r.service()),
				"Error: invalid password. The secret is not defined, and the api key is missing or expired.",
				"password authentication failed for user \"admin\"; token: expected string, got undefined",
				"The secret to good coffee is fresh water. The key is patience: take your time.",
				"To create an API key, open Settings > Developer > API keys and choose Create new secret key.",
				"Authorization: the bearer presents the credential; see RFC 6750 for Bearer token usage.")
		}),
		text("sql schema", func(r random) string {
			return f("CREATE TABLE %s (id uuid PRIMARY KEY, password_hash VARCHAR(255) NOT NULL, api_token TEXT DEFAULT NULL, secret_key_id INT REFERENCES keys(id));\nGRANT SELECT ON %s TO %s;\nCREATE USER app IDENTIFIED BY :password;\n", r.database(), r.database(), strings.ReplaceAll(r.user(), "-", "_"))
		}),
		text("shell with secrets", func(r random) string {
			return pick(r,
				"read -s -p 'Password: ' password\necho \"$password\" | docker login -u \"$USER\" --password-stdin\n",
				"TOKEN=$(curl -s -X PUT http://169.254.169.254/latest/api/token -H 'X-aws-ec2-metadata-token-ttl-seconds: 60')\n",
				"if [ -z \"$API_KEY\" ]; then echo 'API_KEY is not set' >&2; exit 1; fi\n",
				"openssl rand -base64 32 > secret.key && chmod 600 secret.key\nssh-keygen -t ed25519 -f ~/.ssh/id_ed25519 -N ''\n",
				"kubectl create secret generic db --from-file=password=./password.txt\ngh auth login --with-token < token.txt\n",
				f("mysql -h %s -u %s -p %s < dump.sql\n", r.host(), r.user(), r.database()))
		}),
		text("terraform", func(r random) string {
			return f("variable \"db_password\" {\n  type      = string\n  sensitive = true\n}\nresource \"aws_db_instance\" %q {\n  password = var.db_password\n  username = random_pet.user.id\n}\noutput \"token\" { value = module.%s.access_token }\n", r.service(), r.service())
		}),
		text("identifiers in code", func(r random) string {
			return pick(r,
				"AbstractSecretKeyFactoryBeanPostProcessorTest.shouldRejectExpiredRefreshTokenWhenClientIsUnknown",
				"com.acme.security.token.provider.JwtTokenAuthenticationConfigurerAdapter$$EnhancerBySpringCGLIB$$"+r.hex(8),
				"_ZN4core3ptr85drop_in_place$LT$std..rt..lang_start$LT$$LP$$RP$$GT$..$u7b$$u7b$closure17h"+r.hex(16)+"E",
				"java.lang.IllegalStateException: token\n\tat com.acme.TokenStore$KeyHolder@"+r.hex(8)+".get(TokenStore.java:"+r.expand("[1-9][0-9]{2}")+")")
		}),
	}
}
