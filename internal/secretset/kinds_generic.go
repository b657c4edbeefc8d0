package secretset

import (
	"encoding/base64"
	"fmt"
)

// genericKinds are secret because of the name that they go by.
func genericKinds() []kind {
	k := func(id string, make func(random) string, keys ...string) kind {
		return kind{id, Generic, "", keys, value(make)}
	}
	p := func(pattern string) func(random) string {
		return func(r random) string { return r.expand(pattern) }
	}
	return []kind{
		k("password-random", p(`[A-Za-z0-9]{6}[!#%*+=?@^_~-][A-Za-z0-9]{7}[!#%*+?@^_~-][A-Za-z0-9]{1,4}`),
			"DB_PASSWORD", "POSTGRES_PASSWORD", "MYSQL_ROOT_PASSWORD", "PASSWORD", "REDIS_PASSWORD", "ADMIN_PASSWORD"),
		k("password-alnum", p(`[A-Za-z0-9]{14,22}`),
			"PASSWORD", "SMTP_PASSWORD", "LDAP_BIND_PASSWORD", "DATABASE_PASSWORD", "PASSWD", "KEYSTORE_PASSWORD"),
		k("password-human", human,
			"PASSWORD", "DB_PASS", "FTP_PASSWORD", "USER_PASSWORD", "ROOT_PASSWORD", "RABBITMQ_DEFAULT_PASS"),
		k("passphrase", func(r random) string {
			w := []string{"copper", "lantern", "orbit", "mango", "fjord", "velvet", "cactus", "ember", "pixel", "harbor", "quartz", "saffron"}
			return fmt.Sprintf("%s-%s-%s-%s-%d", pick(r, w...), pick(r, w...), pick(r, w...), pick(r, w...), r.between(10, 99))
		}, "PASSPHRASE", "GPG_PASSPHRASE", "SSH_KEY_PASSPHRASE", "KEY_PASSPHRASE"),
		k("client-secret", p(`[\w-]{40}`), "CLIENT_SECRET", "OIDC_CLIENT_SECRET", "OAUTH_CLIENT_SECRET", "SSO_CLIENT_SECRET"),
		k("api-key-alnum", p(`[A-Za-z0-9]{32,40}`), "API_KEY", "SERVICE_API_KEY", "X_API_KEY", "INTERNAL_API_KEY", "APIKEY"),
		k("api-key-hex", p(`[0-9a-f]{40}`), "API_KEY", "PARTNER_API_KEY", "APP_API_KEY", "BACKEND_API_KEY"),
		k("access-token", p(`[\w-]{43}`), "ACCESS_TOKEN", "API_TOKEN", "AUTH_TOKEN", "REFRESH_TOKEN", "DEPLOY_TOKEN", "BOT_TOKEN"),
		k("signing-secret", func(r random) string { return base64.StdEncoding.EncodeToString(r.bytes(32)) },
			"SIGNING_SECRET", "WEBHOOK_SECRET", "SESSION_SECRET", "COOKIE_SECRET", "NEXTAUTH_SECRET", "HMAC_SECRET"),
		k("encryption-key", p(`[0-9a-f]{64}`), "ENCRYPTION_KEY", "SECRET_KEY", "SECRET_KEY_BASE", "APP_SECRET", "MASTER_KEY"),
		k("jwt-secret", p(`[A-Za-z0-9!#%*+?@^_~-]{32,48}`), "JWT_SECRET", "JWT_SIGNING_KEY", "TOKEN_SECRET"),
		k("private-token", p(`[A-Za-z0-9]{20,26}`), "PRIVATE_TOKEN", "SECRET_TOKEN", "REGISTRY_TOKEN", "SECRET_ACCESS_KEY", "BEARER_TOKEN"),
	}
}

// human is a password as people make them up to please a policy.
func human(r random) string {
	word := pick(r, "Sommer", "Dragon", "Winter", "Falcon", "Munich", "Coffee", "Tiger", "Sunset", "Arsenal", "Galaxy", "Matrix", "Bergen")
	return pick(r,
		fmt.Sprintf("%s%d%s", word, r.between(2019, 2026), pick(r, "!", "#", "$$", "?!", "*")),
		fmt.Sprintf("%s%s%d%s", word, pick(r, "@", "_", "-", "."), r.between(10, 9999), pick(r, "x", "Qa", "zZ", "!")),
		fmt.Sprintf("%d%s%s%s", r.between(10, 99), word, pick(r, "#", "!", "&"), r.expand("[a-z]{3}[0-9]{2}")),
	)
}
