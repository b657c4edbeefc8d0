package secretset

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// placeKinds are passwords that only their place gives away: an option of a
// command, a statement, a file of some program, a sentence. Scanners of
// repositories miss most of them.
func placeKinds() []kind {
	c := func(id string, carry func(r random, password string) string) kind {
		return kind{id, Conn, "", []string{"NOTE", "SCRIPT", "SNIPPET"}, func(r random) secret {
			p := password(r)
			return secret{p, carry(r, p)}
		}}
	}
	f := fmt.Sprintf
	return []kind{
		c("pgpassword-command", func(r random, p string) string {
			return f("PGPASSWORD=%s psql -h %s -U %s %s -c 'select 1'", p, r.host(), r.user(), r.database())
		}),
		c("redis-cli-password", func(r random, p string) string { return f("redis-cli -h %s -a %s --tls INFO", r.host(), p) }),
		c("mongo-password", func(r random, p string) string {
			return f("mongosh --host %s --username %s --password %s %s", r.host(), r.user(), p, r.database())
		}),
		c("ldapsearch-password", func(r random, p string) string {
			return f("ldapsearch -x -H ldaps://%s -D cn=%s,dc=corp -w %s '(uid=jdoe)'", r.host(), r.user(), p)
		}),
		c("openssl-passphrase", func(r random, p string) string {
			return f("openssl pkcs12 -in %s.p12 -nodes -passin pass:%s", r.service(), p)
		}),
		c("keytool-storepass", func(r random, p string) string {
			return f("keytool -list -keystore %s.jks -storepass %s", r.service(), p)
		}),
		c("net-user", func(r random, p string) string {
			return f(`net use Z: \\%s\share /user:CORP\%s %s`, "files01", r.user(), p)
		}),
		c("powershell-securestring", func(r random, p string) string {
			return f(`$p = ConvertTo-SecureString "%s" -AsPlainText -Force; New-LocalUser %s -Password $p`, p, r.user())
		}),
		c("sql-identified-by", func(r random, p string) string {
			return f("CREATE USER '%s'@'%%' IDENTIFIED BY '%s';", strings.ReplaceAll(r.user(), "-", "_"), p)
		}),
		c("sql-alter-role", func(r random, p string) string {
			return f("ALTER ROLE %s WITH LOGIN PASSWORD '%s';", strings.ReplaceAll(r.user(), "-", "_"), p)
		}),
		c("chpasswd", func(r random, p string) string { return f(`echo "%s:%s" | chpasswd`, r.user(), p) }),
		c("sudo-stdin", func(r random, p string) string { return f(`echo '%s' | sudo -S systemctl restart %s`, p, r.service()) }),
		c("kubectl-secret", func(r random, p string) string {
			return f("kubectl create secret generic %s --from-literal=username=%s --from-literal=password=%s", r.service(), r.user(), p)
		}),
		c("helm-set", func(r random, p string) string {
			return f("helm upgrade --install %s ./chart --set replicas=2 --set auth.password=%s", r.service(), p)
		}),
		c("vault-put", func(r random, p string) string {
			return f("vault kv put secret/%s username=%s password=%s", r.service(), r.user(), p)
		}),
		c("htpasswd-command", func(r random, p string) string {
			return f("htpasswd -bc /etc/nginx/.htpasswd %s %s", r.user(), p)
		}),
		c("wget-password", func(r random, p string) string {
			return f("wget --user=%s --password=%s https://%s/dump.tar.gz", r.user(), p, r.host())
		}),
		c("git-credentials", func(r random, p string) string { return f("https://%s:%s@git.%s\n", r.user(), p, r.domain()) }),
		c("pip-index-url", func(r random, p string) string {
			return f("[global]\nextra-index-url = https://%s:%s@pypi.%s/simple\n", r.user(), p, r.domain())
		}),
		c("maven-settings", func(r random, p string) string {
			return f("<servers><server><id>releases</id><username>%s</username><password>%s</password></server></servers>", r.user(), p)
		}),
		c("nuget-config", func(r random, p string) string {
			return f(`<packageSourceCredentials><feed><add key="Username" value="%s" /><add key="ClearTextPassword" value="%s" /></feed></packageSourceCredentials>`, r.user(), p)
		}),
		c("composer-auth", func(r random, p string) string {
			return f(`{"http-basic":{"repo.%s":{"username":"%s","password":"%s"}}}`, r.domain(), r.user(), p)
		}),
		c("ansible-inventory", func(r random, p string) string {
			return f("[db]\n%s ansible_user=%s ansible_password=%s\n", r.host(), r.user(), p)
		}),
		c("wpa-psk", func(r random, p string) string {
			return f("network={\n    ssid=\"%s-office\"\n    psk=\"%s\"\n}\n", r.service(), p)
		}),
		c("wifi-qr", func(r random, p string) string { return f("WIFI:S:%s-guest;T:WPA;P:%s;;", r.service(), p) }),
		c("tnsnames-connect", func(r random, p string) string {
			return f("sqlplus %s/%s@//%s:1521/ORCL", strings.ReplaceAll(r.user(), "-", "_"), p, r.host())
		}),
		c("oledb-connection", func(r random, p string) string {
			return f("Provider=SQLOLEDB;Data Source=%s;Initial Catalog=%s;User Id=%s;Password=%s;", r.host(), r.database(), r.user(), p)
		}),
		c("oracle-jdbc", func(r random, p string) string {
			return f("jdbc:oracle:thin:%s/%s@%s:1521:ORCL", strings.ReplaceAll(r.user(), "-", "_"), p, r.host())
		}),
		c("login-in-prose", func(r random, p string) string {
			return pick(r,
				f("You can log in as %s with the password %s at https://%s.", r.user(), p, r.host()),
				f("Login: %s\nPassword: %s", r.user(), p),
				f("creds for staging - user: %s pw: %s", r.user(), p),
				f("%s, the root password of %s is %s", r.person(), r.host(), p))
		}),
		c("credentials-pair", func(r random, p string) string {
			return pick(r,
				f("username=%s&password=%s&grant_type=password", r.user(), p),
				f("{'username': '%s', 'password': '%s'}", r.user(), p),
				f("auth=('%s', '%s')", r.user(), p))
		}),
		c("foreign-words", func(r random, p string) string {
			return pick(r,
				f("Benutzer: %s\nPasswort: %s", r.user(), p),
				f("Utilisateur : %s\nMot de passe : %s", r.user(), p),
				f("Usuario: %s\nContraseña: %s", r.user(), p),
				f("usuário: %s\nsenha: %s", r.user(), p))
		}),
		{"proxy-authorization", Conn, "", []string{"PROXY_HEADER"}, func(r random) secret {
			v := base64.StdEncoding.EncodeToString([]byte(r.user() + ":" + password(r)))
			return secret{v, "Proxy-Authorization: Basic " + v}
		}},
		{"kubernetes-secret", Conn, "", []string{"MANIFEST"}, func(r random) secret {
			v := base64.StdEncoding.EncodeToString([]byte(password(r)))
			return secret{v, f("apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\ntype: Opaque\ndata:\n  username: %s\n  password: %s\n",
				r.service(), base64.StdEncoding.EncodeToString([]byte(r.user())), v)}
		}},
		{"otpauth", Conn, "", []string{"TOTP"}, func(r random) secret {
			v := r.expand("[A-Z2-7]{32}")
			return secret{v, f("otpauth://totp/%s:%s?secret=%s&issuer=%s", r.service(), r.user(), v, r.service())}
		}},
		{"cloudfront-signed", Conn, "", []string{"MEDIA_URL"}, func(r random) secret {
			v := r.expand("[A-Za-z0-9~-]{342}__")
			return secret{v, f("https://d%s.cloudfront.net/%s.mp4?Expires=%d&Signature=%s&Key-Pair-Id=K%s", r.expand("[a-z0-9]{13}"), r.database(), 1777225600, v, r.expand("[A-Z0-9]{13}"))}
		}},
		{"url-fragment-token", Conn, "", []string{"REDIRECT"}, func(r random) secret {
			v := r.expand(`[\w-]{52}`)
			return secret{v, f("https://app.%s/callback#access_token=%s&token_type=bearer&expires_in=3600", r.domain(), v)}
		}},
		{"cookie-header", Conn, "", []string{"REQUEST"}, func(r random) secret {
			v := r.expand(`[A-Za-z0-9]{40}`)
			return secret{v, f("GET /account HTTP/1.1\r\nHost: %s\r\nCookie: theme=dark; %s=%s\r\n", r.domain(), pick(r, "sessionid", "PHPSESSID", "session_token", "auth_token"), v)}
		}},
		{"aws-credentials-file", Conn, "", []string{"AWS_FILE"}, func(r random) secret {
			v := r.expand("[A-Za-z0-9/+]{40}")
			return secret{v, f("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\nregion = eu-west-1\n", r.expand("AKIA[A-Z2-7]{16}"), v)}
		}},
		{"terraform-state", Conn, "", []string{"STATE"}, func(r random) secret {
			v := password(r)
			return secret{v, f(`{"type":"aws_db_instance","instances":[{"attributes":{"username":"%s","password":"%s","port":5432}}]}`, r.user(), v)}
		}},
		{"s3-url", Conn, "", []string{"BACKUP_URL"}, func(r random) secret {
			v := r.expand("[A-Za-z0-9]{40}")
			return secret{v, f("s3://%s:%s@%s/%s", r.expand("AKIA[A-Z2-7]{16}"), v, r.host(), r.database())}
		}},
	}
}

// namedKinds are passwords under names that are less usual.
func namedKinds() []kind {
	k := func(id string, keys ...string) kind { return kind{id, Generic, "", keys, value(password)} }
	return []kind{
		k("password-abbreviated", "PWD", "DB_PWD", "PASS", "ADMIN_PASS", "USERPASS", "PSWD"),
		k("password-in-other-languages", "PASSWORT", "DB_PASSWORT", "MOT_DE_PASSE", "CONTRASENA", "SENHA", "WACHTWOORD"),
		k("password-of-a-tool", "ANSIBLE_BECOME_PASS", "SVN_PASSWORD", "VNC_PASSWORD", "SUDO_PASSWORD", "MQTT_PASSWORD", "PROXY_PASS"),
		k("credential", "CREDENTIAL", "CREDENTIALS", "LOGIN_CREDENTIAL", "SERVICE_CREDENTIAL"),
		k("secret-plain", "SECRET", "SHARED_SECRET", "CONSUMER_SECRET", "APP_SECRET_VALUE", "BACKUP_SECRET"),
	}
}
