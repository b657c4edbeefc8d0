package secretset

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
)

// connKinds stand in connection strings, URLs, headers and files of
// credentials, whose grammar gives them away.
func connKinds() []kind {
	c := func(id, key string, carry func(r random, password string) string) kind {
		return kind{id, Conn, "", []string{key}, func(r random) secret {
			p := password(r)
			return secret{p, carry(r, p)}
		}}
	}
	// plain is for values that have a form of their own.
	plain := func(id, key, p string, carry func(r random, v string) string) kind {
		return kind{id, Conn, "", []string{key}, func(r random) secret {
			v := r.expand(p)
			return secret{v, carry(r, v)}
		}}
	}
	uri := func(scheme string, port int, tail func(r random) string) func(r random, p string) string {
		return func(r random, p string) string {
			at := r.host()
			if port > 0 {
				at = fmt.Sprintf("%s:%d", at, port)
			}
			return fmt.Sprintf("%s://%s:%s@%s%s", scheme, r.user(), p, at, tail(r))
		}
	}
	db := func(r random) string { return "/" + r.database() }
	none := func(random) string { return "" }
	return []kind{
		c("postgres-url", "DATABASE_URL", uri("postgresql", 5432, func(r random) string { return db(r) + "?sslmode=require" })),
		c("mysql-url", "MYSQL_URL", uri("mysql", 3306, db)),
		c("mongodb-url", "MONGODB_URI", uri("mongodb+srv", 0, func(r random) string { return db(r) + "?retryWrites=true&w=majority" })),
		c("amqp-url", "AMQP_URL", uri("amqps", 5671, none)),
		c("smtp-url", "MAILER_DSN", uri("smtp", 587, none)),
		c("ftp-url", "FTP_URL", uri("ftp", 0, db)),
		c("https-userinfo", "REPO_URL", uri("https", 0, func(r random) string { return "/" + r.service() + ".git" })),
		c("sqlalchemy-url", "SQLALCHEMY_DATABASE_URI", uri("mysql+pymysql", 3306, func(r random) string { return db(r) + "?charset=utf8mb4" })),
		c("redis-url", "REDIS_URL", func(r random, p string) string { return fmt.Sprintf("rediss://:%s@%s:6379/0", p, r.host()) }),
		c("ado-connection", "ConnectionStrings__Default", func(r random, p string) string {
			return fmt.Sprintf("Server=tcp:%s,1433;Initial Catalog=%s;User ID=%s;Password=%s;Encrypt=True;", r.host(), r.database(), r.user(), p)
		}),
		c("odbc-connection", "ODBC_DSN", func(r random, p string) string {
			return fmt.Sprintf("Driver={ODBC Driver 18 for SQL Server};Server=%s;Database=%s;Uid=%s;Pwd=%s;", r.host(), r.database(), r.user(), p)
		}),
		c("jdbc-url", "JDBC_URL", func(r random, p string) string {
			return fmt.Sprintf("jdbc:postgresql://%s:5432/%s?user=%s&password=%s", r.host(), r.database(), r.user(), url.QueryEscape(p))
		}),
		c("jdbc-sqlserver", "SPRING_DATASOURCE_URL", func(r random, p string) string {
			return fmt.Sprintf("jdbc:sqlserver://%s:1433;databaseName=%s;user=%s;password=%s", r.host(), r.database(), r.user(), p)
		}),
		c("libpq-dsn", "PG_DSN", func(r random, p string) string {
			return fmt.Sprintf("host=%s port=5432 dbname=%s user=%s password=%s sslmode=require", r.host(), r.database(), r.user(), p)
		}),
		c("go-mysql-dsn", "MYSQL_DSN", func(r random, p string) string {
			return fmt.Sprintf("%s:%s@tcp(%s:3306)/%s?parseTime=true", r.user(), p, r.host(), r.database())
		}),
		{"azure-account-key", Conn, "", []string{"AZURE_STORAGE_CONNECTION_STRING"}, func(r random) secret {
			v := base64.StdEncoding.EncodeToString(r.bytes(64))
			return secret{v, fmt.Sprintf("DefaultEndpointsProtocol=https;AccountName=%sstore;AccountKey=%s;EndpointSuffix=core.windows.net", r.service(), v)}
		}},
		{"azure-service-bus", Conn, "", []string{"SERVICEBUS_CONNECTION"}, func(r random) secret {
			v := base64.StdEncoding.EncodeToString(r.bytes(32))
			return secret{v, fmt.Sprintf("Endpoint=sb://%s.servicebus.windows.net/;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=%s", r.service(), v)}
		}},
		{"azure-sas", Conn, "", []string{"BLOB_URL"}, func(r random) secret {
			v := url.QueryEscape(base64.StdEncoding.EncodeToString(r.bytes(32)))
			return secret{v, fmt.Sprintf("https://%sstore.blob.core.windows.net/%s?sv=2024-11-04&ss=b&srt=co&sp=rl&se=%s&spr=https&sig=%s", r.service(), r.database(), url.QueryEscape(r.time()), v)}
		}},
		{"aws-presigned", Conn, "", []string{"DOWNLOAD_URL"}, func(r random) secret {
			v := r.hex(64)
			day := strings.ReplaceAll(r.date(), "-", "")
			return secret{v, fmt.Sprintf("https://%s-exports.s3.eu-west-1.amazonaws.com/%s.csv?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%s%%2F%s%%2Feu-west-1%%2Fs3%%2Faws4_request&X-Amz-Date=%sT101500Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=%s",
				r.service(), r.database(), r.expand("AKIA[A-Z2-7]{16}"), day, day, v)}
		}},
		{"gcs-signed", Conn, "", []string{"EXPORT_URL"}, func(r random) secret {
			v := r.hex(256)
			return secret{v, fmt.Sprintf("https://storage.googleapis.com/%s-exports/%s.csv?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Expires=3600&X-Goog-SignedHeaders=host&X-Goog-Signature=%s", r.service(), r.database(), v)}
		}},
		{"basic-header", Conn, "", []string{"AUTH_HEADER"}, func(r random) secret {
			v := base64.StdEncoding.EncodeToString([]byte(r.user() + ":" + password(r)))
			return secret{v, "Authorization: Basic " + v}
		}},
		plain("bearer-header", "AUTH_HEADER", `[\w-]{43}`, func(_ random, v string) string { return "Authorization: Bearer " + v }),
		plain("api-key-header", "EXTRA_HEADER", `[A-Za-z0-9]{36}`, func(r random, v string) string { return pick(r, "X-API-Key: ", "x-api-key: ", "X-Auth-Token: ") + v }),
		plain("session-cookie", "COOKIE", `[\w-]{64}`, func(r random, v string) string {
			return pick(r, "Set-Cookie: session=", "Set-Cookie: sessionid=", "Set-Cookie: connect.sid=") + v + "; Path=/; HttpOnly; Secure"
		}),
		c("curl-user", "CMD", func(r random, p string) string {
			return fmt.Sprintf("curl -sS -u %s:'%s' https://%s/api/v2/%s", r.user(), p, r.host(), r.database())
		}),
		plain("curl-bearer", "CMD", `[A-Za-z0-9]{40}`, func(r random, v string) string {
			return fmt.Sprintf(`curl -H "Authorization: Bearer %s" https://api.%s/v1/%s`, v, r.domain(), r.database())
		}),
		c("mysql-option", "CMD", func(r random, p string) string {
			return fmt.Sprintf("mysql -h %s -u %s -p'%s' %s", r.host(), r.user(), p, r.database())
		}),
		c("sshpass", "CMD", func(r random, p string) string {
			return fmt.Sprintf("sshpass -p '%s' ssh %s@%s uptime", p, r.user(), r.host())
		}),
		c("docker-login", "CMD", func(r random, p string) string {
			return fmt.Sprintf("docker login registry.%s -u %s --password '%s'", r.domain(), r.user(), p)
		}),
		c("netrc", "NETRC", func(r random, p string) string {
			return fmt.Sprintf("machine %s\n  login %s\n  password %s\n", r.host(), r.user(), p)
		}),
		c("pgpass", "PGPASS", func(r random, p string) string {
			return fmt.Sprintf("%s:5432:%s:%s:%s\n", r.host(), r.database(), r.user(), p)
		}),
		plain("npmrc", "NPMRC", `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}`, func(r random, v string) string {
			return fmt.Sprintf("@acme:registry=https://npm.%[1]s/\n//npm.%[1]s/:_authToken=%[2]s\n", r.domain(), v)
		}),
		{"docker-config", Conn, "", []string{"DOCKER_CONFIG_JSON"}, func(r random) secret {
			v := base64.StdEncoding.EncodeToString([]byte(r.user() + ":" + password(r)))
			return secret{v, fmt.Sprintf(`{"auths":{"registry.%s":{"auth":"%s"}}}`, r.domain(), v)}
		}},
		plain("kubeconfig-token", "KUBECONFIG_DATA", `[A-Za-z0-9]{40}`, func(r random, v string) string {
			return fmt.Sprintf("apiVersion: v1\nkind: Config\nusers:\n- name: %s\n  user:\n    token: %s\n", r.user(), v)
		}),
		plain("slack-webhook", "SLACK_WEBHOOK_URL", `T[A-Z0-9]{10}/B[A-Z0-9]{10}/[A-Za-z0-9]{24}`, func(_ random, v string) string { return "https://hooks.slack.com/services/" + v }),
		plain("discord-webhook", "DISCORD_WEBHOOK", `1[0-9]{17}/[\w-]{68}`, func(_ random, v string) string { return "https://discord.com/api/webhooks/" + v }),
		{"teams-webhook", Conn, "", []string{"TEAMS_WEBHOOK"}, func(r random) secret {
			v := r.uuid() + "@" + r.uuid() + "/IncomingWebhook/" + r.hex(32) + "/" + r.uuid()
			return secret{v, "https://" + r.service() + ".webhook.office.com/webhookb2/" + v}
		}},
		plain("cloudinary-url", "CLOUDINARY_URL", `[\w-]{27}`, func(r random, v string) string {
			return fmt.Sprintf("cloudinary://%s:%s@%s", r.expand("[1-9][0-9]{14}"), v, r.service())
		}),
		plain("url-query-token", "CALLBACK_URL", `[\w-]{40}`, func(r random, v string) string {
			return fmt.Sprintf("https://api.%s/v1/%s?format=json&access_token=%s", r.domain(), r.database(), v)
		}),
	}
}

// password is one that needs no escaping in a URL or a shell.
func password(r random) string {
	return pick(r,
		r.expand(`[A-Za-z0-9]{14,24}`),
		r.expand(`[A-Za-z0-9]{8}[._~-][A-Za-z0-9]{6,9}`),
		pick(r, "Harbor", "Copper", "Falcon", "Sierra")+r.expand(`[._-][0-9]{4}[a-z]{3}`),
	)
}
