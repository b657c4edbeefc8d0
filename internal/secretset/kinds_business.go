package secretset

import (
	"encoding/base64"
	"fmt"
)

// businessKinds are of messengers, payment, mail, and software for teams.
func businessKinds() []kind {
	return []kind{
		prefixed("slack-bot-token", "Slack", "SLACK_BOT_TOKEN", pattern(`xoxb-[1-9][0-9]{11}-[1-9][0-9]{12}-[A-Za-z0-9]{24}`)),
		prefixed("slack-user-token", "Slack", "SLACK_USER_TOKEN", pattern(`xoxp-[1-9][0-9]{11}-[1-9][0-9]{11}-[1-9][0-9]{12}-[0-9a-f]{32}`)),
		prefixed("slack-app-token", "Slack", "SLACK_APP_TOKEN", pattern(`xapp-1-A[A-Z0-9]{10}-[1-9][0-9]{12}-[0-9a-f]{64}`)),
		prefixed("slack-config-token", "Slack", "SLACK_CONFIG_TOKEN", pattern(`xoxe.xoxp-1-[A-Za-z0-9]{166}`)),
		prefixed("discord-bot-token", "Discord", "DISCORD_BOT_TOKEN", value(func(r random) string {
			return base64.RawStdEncoding.EncodeToString([]byte(r.expand("1[0-9]{17}"))) + r.expand(`.G[\w-]{5}.[\w-]{38}`)
		})),
		prefixed("telegram-bot-token", "Telegram", "TELEGRAM_BOT_TOKEN", pattern(`[1-9][0-9]{9}:AA[\w-]{33}`)),
		prefixed("stripe-live-key", "Stripe", "STRIPE_SECRET_KEY", pattern(`sk_live_51[A-Za-z0-9]{97}`)),
		prefixed("stripe-restricted-key", "Stripe", "STRIPE_RESTRICTED_KEY", pattern(`rk_live_51[A-Za-z0-9]{97}`)),
		prefixed("stripe-test-key", "Stripe", "STRIPE_API_KEY", pattern(`sk_test_[A-Za-z0-9]{24}`)),
		prefixed("stripe-webhook-secret", "Stripe", "STRIPE_WEBHOOK_SECRET", pattern(`whsec_[A-Za-z0-9]{32}`)),
		prefixed("square-token", "Square", "SQUARE_ACCESS_TOKEN", pattern(`EAAA[\w-]{60}`)),
		prefixed("square-oauth-secret", "Square", "SQUARE_APPLICATION_SECRET", pattern(`sq0csp-[\w-]{43}`)),
		prefixed("braintree-token", "Braintree", "BRAINTREE_ACCESS_TOKEN", pattern(`access_token$production$[0-9a-z]{16}$[0-9a-f]{32}`)),
		prefixed("shopify-admin-token", "Shopify", "SHOPIFY_ACCESS_TOKEN", pattern(`shpat_[0-9a-f]{32}`)),
		prefixed("shopify-app-secret", "Shopify", "SHOPIFY_API_SECRET", pattern(`shpss_[0-9a-f]{32}`)),
		prefixed("plaid-access-token", "Plaid", "PLAID_ACCESS_TOKEN", value(func(r random) string { return "access-production-" + r.uuid() })),
		prefixed("flutterwave-key", "Flutterwave", "FLW_SECRET_KEY", pattern(`FLWSECK-[0-9a-f]{32}-X`)),
		prefixed("easypost-key", "EasyPost", "EASYPOST_API_KEY", pattern(`EZAK[A-Za-z0-9]{54}`)),
		prefixed("shippo-token", "Shippo", "SHIPPO_API_TOKEN", pattern(`shippo_live_[0-9a-f]{40}`)),
		prefixed("duffel-token", "Duffel", "DUFFEL_ACCESS_TOKEN", pattern(`duffel_live_[\w-]{43}`)),
		prefixed("polar-token", "Polar", "POLAR_ACCESS_TOKEN", pattern(`polar_oat_[A-Za-z0-9]{43}`)),
		prefixed("twilio-api-key", "Twilio", "TWILIO_API_KEY", pattern(`SK[0-9a-f]{32}`)),
		prefixed("sendgrid-key", "SendGrid", "SENDGRID_API_KEY", pattern(`SG.[\w-]{22}.[\w-]{43}`)),
		prefixed("mailgun-key", "Mailgun", "MAILGUN_API_KEY", pattern(`key-[0-9a-f]{32}`)),
		prefixed("mailchimp-key", "Mailchimp", "MAILCHIMP_API_KEY", pattern(`[0-9a-f]{32}-us[1-9][0-9]`)),
		prefixed("brevo-key", "Brevo", "BREVO_API_KEY", pattern(`xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}`)),
		prefixed("resend-key", "Resend", "RESEND_API_KEY", pattern(`re_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}`)),
		prefixed("mailersend-key", "MailerSend", "MAILERSEND_API_KEY", pattern(`mlsn.[0-9a-f]{64}`)),
		prefixed("onesignal-key", "OneSignal", "ONESIGNAL_API_KEY", pattern(`os_v2_app_[a-z2-7]{102}`)),
		prefixed("linear-key", "Linear", "LINEAR_API_KEY", pattern(`lin_api_[A-Za-z0-9]{40}`)),
		prefixed("notion-token", "Notion", "NOTION_TOKEN", pattern(`ntn_[0-9]{11}[A-Za-z0-9]{35}`)),
		prefixed("airtable-pat", "Airtable", "AIRTABLE_API_KEY", pattern(`pat[A-Za-z0-9]{14}.[0-9a-f]{64}`)),
		prefixed("asana-pat", "Asana", "ASANA_ACCESS_TOKEN", pattern(`2/12[0-9]{14}/12[0-9]{14}:[0-9a-f]{32}`)),
		prefixed("figma-token", "Figma", "FIGMA_API_KEY", pattern(`figd_[\w-]{40}`)),
		prefixed("contentful-token", "Contentful", "CONTENTFUL_MANAGEMENT_TOKEN", pattern(`CFPAT-[\w-]{43}`)),
		prefixed("typeform-token", "Typeform", "TYPEFORM_TOKEN", pattern(`tfp_[A-Za-z0-9]{44}_3p[A-Za-z0-9]{12}`)),
		prefixed("hubspot-token", "HubSpot", "HUBSPOT_ACCESS_TOKEN", value(func(r random) string { return "pat-na1-" + r.uuid() })),
		prefixed("intercom-token", "Intercom", "INTERCOM_ACCESS_TOKEN", value(func(r random) string {
			return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "tok:%s_%s_%s:1:0", r.hex(8), r.hex(4), r.hex(18)))
		})),
		prefixed("facebook-token", "Facebook", "FB_ACCESS_TOKEN", pattern(`EAAM[A-Za-z0-9]{150,190}`)),
		prefixed("twitter-bearer", "Twitter", "TWITTER_BEARER_TOKEN", pattern(`AAAAAAAAAAAAAAAAAAAAA[A-Za-z0-9]{33}%2B[A-Za-z0-9]{21}%3D[A-Za-z0-9]{30}`)),
		prefixed("dropbox-token", "Dropbox", "DROPBOX_ACCESS_TOKEN", pattern(`sl.u.[\w-]{135,150}`)),
		prefixed("adobe-client-secret", "Adobe", "ADOBE_CLIENT_SECRET", pattern(`p8e-[A-Za-z0-9]{32}`)),
		prefixed("readme-key", "ReadMe", "README_API_KEY", pattern(`rdme_[a-z0-9]{70}`)),
		prefixed("clickup-token", "ClickUp", "CLICKUP_API_TOKEN", pattern(`pk_[1-9][0-9]{7}_[A-Z0-9]{32}`)),
		prefixed("trello-token", "Trello", "TRELLO_TOKEN", pattern(`ATTA[0-9a-f]{72}`)),
		prefixed("mapbox-secret-token", "Mapbox", "MAPBOX_SECRET_TOKEN", value(func(r random) string {
			return "sk." + base64.RawURLEncoding.EncodeToString([]byte(`{"u":"`+r.service()+`maps","a":"c`+r.expand("[a-z0-9]{24}")+`"}`)) + r.expand(`.[\w-]{22}`)
		})),
		prefixed("rapidapi-key", "RapidAPI", "RAPIDAPI_KEY", pattern(`[0-9a-f]{10}msh[0-9a-f]{15}p1[0-9a-f]{5}jsn[0-9a-f]{12}`)),
		prefixed("frameio-token", "Frame.io", "FRAMEIO_TOKEN", pattern(`fio-u-[\w-]{64}`)),
	}
}
