package secretset

import (
	"encoding/base64"
	"fmt"
)

// contextKinds look like nothing in particular: the vendor's name beside
// them says what they are.
func contextKinds() []kind {
	k := func(id, vendor, key, p string) kind {
		return kind{id, Context, vendor, []string{key}, pattern(p)}
	}
	return []kind{
		k("aws-secret-access-key", "AWS", "AWS_SECRET_ACCESS_KEY", `[A-Za-z0-9/+]{40}`),
		{"aws-session-token", Context, "AWS", []string{"AWS_SESSION_TOKEN"}, value(func(r random) string {
			return "IQoJb3JpZ2luX2VjE" + r.expand(`[A-Za-z0-9/+]{350,420}==`)
		})},
		k("datadog-api-key", "Datadog", "DATADOG_API_KEY", `[0-9a-f]{32}`),
		k("cloudflare-api-token", "Cloudflare", "CLOUDFLARE_API_TOKEN", `[\w-]{40}`),
		k("cloudflare-global-key", "Cloudflare", "CLOUDFLARE_API_KEY", `[0-9a-f]{37}`),
		k("twilio-auth-token", "Twilio", "TWILIO_AUTH_TOKEN", `[0-9a-f]{32}`),
		k("algolia-admin-key", "Algolia", "ALGOLIA_ADMIN_API_KEY", `[0-9a-f]{32}`),
		k("vercel-token", "Vercel", "VERCEL_TOKEN", `[A-Za-z0-9]{24}`),
		k("okta-api-token", "Okta", "OKTA_API_TOKEN", `00[\w-]{40}`),
		k("auth0-client-secret", "Auth0", "AUTH0_CLIENT_SECRET", `[\w-]{64}`),
		k("zendesk-token", "Zendesk", "ZENDESK_API_TOKEN", `[A-Za-z0-9]{40}`),
		k("pagerduty-key", "PagerDuty", "PAGERDUTY_API_KEY", `u+[\w-]{18}`),
		k("mistral-key", "Mistral", "MISTRAL_API_KEY", `[A-Za-z0-9]{32}`),
		k("cohere-key", "Cohere", "COHERE_API_KEY", `[A-Za-z0-9]{40}`),
		k("deepseek-key", "DeepSeek", "DEEPSEEK_API_KEY", `sk-[0-9a-f]{32}`),
		k("wandb-key", "Weights & Biases", "WANDB_API_KEY", `[0-9a-f]{40}`),
		k("deepgram-key", "Deepgram", "DEEPGRAM_API_KEY", `[0-9a-f]{40}`),
		k("assemblyai-key", "AssemblyAI", "ASSEMBLYAI_API_KEY", `[0-9a-f]{32}`),
		{"snyk-token", Context, "Snyk", []string{"SNYK_TOKEN"}, value(random.uuid)},
		{"jira-server-pat", Context, "Jira", []string{"JIRA_PERSONAL_TOKEN"}, value(func(r random) string {
			return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s:%s", r.expand("[1-9][0-9]{11}"), r.bytes(20)))
		})},
		k("ghost-admin-key", "Ghost", "GHOST_ADMIN_API_KEY", `[0-9a-f]{24}:[0-9a-f]{64}`),
		k("ably-key", "Ably", "ABLY_API_KEY", `[A-Za-z0-9]{6}.[A-Za-z0-9]{6}:[\w-]{43}`),
		k("todoist-token", "Todoist", "TODOIST_API_TOKEN", `[0-9a-f]{40}`),
		k("dockerhub-password", "Docker Hub", "DOCKERHUB_PASSWORD", `[\w-]{24}`),
		k("discord-client-secret", "Discord", "DISCORD_CLIENT_SECRET", `[\w-]{32}`),
		k("spotify-client-secret", "Spotify", "SPOTIFY_CLIENT_SECRET", `[0-9a-f]{32}`),
		k("pusher-secret", "Pusher", "PUSHER_APP_SECRET", `[0-9a-f]{20}`),
		k("openweather-key", "OpenWeather", "OPENWEATHER_API_KEY", `[0-9a-f]{32}`),
		k("ibm-cloud-key", "IBM Cloud", "IBMCLOUD_API_KEY", `[\w-]{44}`),
		k("mattermost-token", "Mattermost", "MATTERMOST_TOKEN", `[a-z0-9]{26}`),
	}
}
