package secretset

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// identifierNegatives name things: they are long and random, and no secrets.
func identifierNegatives() []category {
	f := fmt.Sprintf
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	return []category{
		data("uuid", func(r random) string {
			return f(`{"id":"%s","parent_id":"%s","tenantId":"%s","requestId":"%s"}`, r.uuid(), r.uuid(), r.uuid(), r.uuid())
		}),
		data("uuid under key", func(r random) string {
			return f(`{"key":"%s","idempotencyKey":"%s","cacheKey":"%s","apiKeyId":"%s","tokenId":"%s"}`, r.uuid(), r.uuid(), r.uuid(), r.uuid(), r.uuid())
		}),
		text("uuid in prose", func(r random) string {
			return f("Deployment %s of %s failed, see run %s.", r.uuid(), r.service(), strings.ToUpper(r.uuid()))
		}),
		data("cursor", func(r random) string {
			return f(`{"items":[],"nextCursor":"%s","nextPageToken":"%s"}`, b64(f(`{"id":%d,"ts":"%s"}`, r.between(1, 99999), r.time())), r.expand("[A-Za-z0-9_-]{60,90}"))
		}),
		data("page token", func(r random) string {
			return f(`{"%s":"%s","has_more":true,"total":%d}`, pick(r, "next_page_token", "pageToken", "continuationToken", "NextToken", "syncToken", "nextToken"),
				pick(r, r.expand("[A-Za-z0-9_-]{40,120}"), r.expand("C[A-Za-z0-9_-]{30}[=]{2}"), b64(r.uuid()+":"+r.date())), r.between(20, 900))
		}),
		data("graphql id", func(r random) string {
			return f(`{"node_id":"%s","id":"%s_kwDO%s","cursor":"%s"}`, b64(f("012:PullRequest%d", r.between(1e6, 9e7))), pick(r, "PR", "I", "C", "R"), r.expand("[A-Za-z0-9_-]{8,16}"), b64(f("cursor:v2:%d", r.between(1, 9e6))))
		}),
		data("vendor ids", func(r random) string {
			return f(`{"channel":"C%s","user":"U%s","team":"T%s","page":"%s","folder":"%s","customer":"cus_%s","price":"price_%s","invoice":"in_%s"}`,
				r.expand("[0-9A-Z]{10}"), r.expand("[0-9A-Z]{10}"), r.expand("[0-9A-Z]{10}"), r.hex(32), r.expand("1[A-Za-z0-9_-]{32}"), r.expand("[A-Za-z0-9]{14}"), r.expand("1[A-Za-z0-9]{23}"), r.expand("1[A-Za-z0-9]{23}"))
		}),
		data("object ids", func(r random) string {
			return f(`{"_id":"%s","ulid":"01%s","ksuid":"%s","nanoid":"%s","snowflake":"%s","request_id":"req_%s"}`, r.hex(24), r.expand("[0-9A-HJKMNP-TV-Z]{24}"), r.expand("2[0-9A-Za-z]{26}"), r.expand(`[\w-]{21}`), r.expand("1[0-9]{17}"), r.expand("01[A-Za-z0-9]{22}"))
		}),
		text("trace ids", func(r random) string {
			return pick(r,
				f("traceparent: 00-%s-%s-01\ntracestate: rojo=%s", r.hex(32), r.hex(16), r.hex(16)),
				f("level=info trace_id=%s span_id=%s parent=%s msg=done", r.hex(32), r.hex(16), r.hex(16)),
				f("X-B3-TraceId: %s\nX-B3-SpanId: %s\nX-Amzn-Trace-Id: Root=1-%s-%s", r.hex(32), r.hex(16), r.hex(8), r.hex(24)))
		}),
		data("aws ids", func(r random) string {
			return f(`{"InstanceId":"i-%s","SubnetId":"subnet-%s","VpcId":"vpc-%s","x-amz-request-id":"%s","x-amz-id-2":"%s","KeyId":"%s","KeyName":"%s-key"}`,
				r.hex(17), r.hex(17), r.hex(17), r.expand("[A-Z0-9]{16}"), base64.StdEncoding.EncodeToString(r.bytes(56)), r.uuid(), r.service())
		}),
		data("arn", func(r random) string {
			return f(`{"SecretArn":"arn:aws:secretsmanager:eu-west-1:%s:secret:prod/%s/password-%s","RoleArn":"arn:aws:iam::%s:role/%s-token-reader","KmsKey":"arn:aws:kms:eu-west-1:%s:key/%s"}`,
				r.expand("[1-9][0-9]{11}"), r.service(), r.expand("[A-Za-z0-9]{6}"), r.expand("[1-9][0-9]{11}"), r.service(), r.expand("[1-9][0-9]{11}"), r.uuid())
		}),
		text("kubernetes names", func(r random) string {
			return f("NAME                              READY   STATUS    AGE\n%s-%s-%s   1/1     Running   %dd\n%s-token-%s   1/1   Running   3h\nsh.helm.release.v1.%s.v%d   helm.sh/release.v1", r.service(), r.expand("[b-df-hj-np-tv-z0-9]{10}"), r.expand("[a-z0-9]{5}"), r.between(1, 90), r.service(), r.expand("[a-z0-9]{5}"), r.service(), r.between(1, 30))
		}),
		text("container ids", func(r random) string {
			return f("CONTAINER ID   IMAGE\n%s   registry.%s/%s@sha256:%s\n%s   sha256:%s", r.hex(12), r.domain(), r.service(), r.hex(64), r.hex(64), r.hex(64))
		}),
		text("addresses", func(r random) string {
			return f("Transfer %s from 0x%s to 0x%s, bc1q%s confirmed.", "0x"+r.hex(64), r.hex(40), r.expand("[0-9a-fA-F]{40}"), r.expand("[ac-hj-np-z02-9]{38}"))
		}),
		data("oauth parameters", func(r random) string {
			return f(`{"authorization_url":"https://auth.%s/authorize?response_type=code&client_id=%s&state=%s&nonce=%s&code_challenge=%s&code_challenge_method=S256"}`, r.domain(), r.uuid(), r.expand(`[\w-]{32}`), r.expand(`[\w-]{22}`), r.expand(`[\w-]{43}`))
		}),
		data("client ids", func(r random) string {
			return f(`{"client_id":"%s-%s.apps.googleusercontent.com","clientId":"%s","appId":"%s","token_endpoint":"https://auth.%s/oauth/token","token_type":"Bearer"}`,
				r.expand("[1-9][0-9]{11}"), r.expand("[a-z0-9]{32}"), r.expand("[A-Za-z0-9]{32}"), r.uuid(), r.domain())
		}),
		text("message ids", func(r random) string {
			return f("Message-ID: <%s.%s@mail.%s>\nIn-Reply-To: <CA+%s@mail.gmail.com>\nContent-Type: multipart/mixed; boundary=\"----=_Part_%d_%s.%s\"\n", r.expand("[A-Za-z0-9]{20}"), r.hex(16), r.domain(), r.expand(`[\w-]{50}`), r.between(1, 99999), r.expand("[0-9]{10}"), r.expand("[0-9]{13}"))
		}),
		text("mime boundary", func(r random) string {
			b := r.expand("----WebKitFormBoundary[A-Za-z0-9]{16}")
			return f("Content-Type: multipart/form-data; boundary=%s\r\n\r\n--%[1]s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%[2]s.csv\"\r\n\r\na,b\r\n--%[1]s--", b, r.service())
		}),
		data("links", func(r random) string {
			return f(`{"url":"https://www.%s/p/%s?utm_source=mail&gclid=%s&fbclid=IwAR%s","video":"https://youtu.be/%s","doc":"https://docs.google.com/document/d/%s/edit"}`, r.domain(), r.expand("[a-z0-9-]{30}"), r.expand(`[\w-]{54}`), r.expand(`[\w-]{57}`), r.expand(`[\w-]{11}`), r.expand(`1[\w-]{43}`))
		}),
		data("event ids", func(r random) string {
			return f(`{"eventId":"%s","iCalUID":"%s@google.com","etag":"\"%s\"","hangoutLink":"https://meet.google.com/%s"}`, r.expand("[a-v0-9]{26}"), r.expand("[a-v0-9]{26}"), r.expand("3[0-9]{15}"), r.expand("[a-z]{3}-[a-z]{4}-[a-z]{3}"))
		}),
		data("contacts", func(r random) string {
			return f(`{"phone":"+49 %s %s","iban":"DE%s","lat":%d.%s,"lon":%d.%s,"ip":"2001:db8:%s:%s::%s","mac":"%s"}`, r.expand("[1-9][0-9]{2}"), r.expand("[0-9]{7}"), r.expand("[0-9]{20}"), r.between(-80, 80), r.expand("[0-9]{12}"), r.between(-170, 170), r.expand("[0-9]{12}"), r.hex(4), r.hex(4), r.hex(4), r.expand("[0-9a-f]{2}:[0-9a-f]{2}:[0-9a-f]{2}:[0-9a-f]{2}:[0-9a-f]{2}:[0-9a-f]{2}"))
		}),
		text("serial numbers", func(r random) string {
			return f("Device %s, serial %s, IMEI %s, firmware %s, order %s-%s", r.service(), r.expand("[A-Z0-9]{12}"), r.expand("[0-9]{15}"), r.expand("v[0-9].[0-9]{2}.[0-9]"), r.date(), r.expand("[A-Z0-9]{10}"))
		}),
	}
}
