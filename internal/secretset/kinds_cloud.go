package secretset

import (
	"encoding/base64"
	"fmt"
)

// cloudKinds are of clouds, databases, secret stores and networks.
func cloudKinds() []kind {
	return []kind{
		prefixed("aws-access-key-id", "AWS", "AWS_ACCESS_KEY_ID", pattern(`AKIA[A-Z2-7]{16}`)),
		prefixed("aws-bedrock-key", "Amazon Bedrock", "AWS_BEARER_TOKEN_BEDROCK", value(func(r random) string {
			return "ABSK" + base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "BedrockAPIKey-%s-at-%s:%s", r.expand("[a-z0-9]{4}"), r.expand("[1-9][0-9]{11}"),
				base64.StdEncoding.EncodeToString(r.bytes(33))))
		})),
		prefixed("google-api-key", "Google Maps", "GOOGLE_API_KEY", pattern(`AIza[\w-]{35}`)),
		prefixed("google-client-secret", "Google", "GOOGLE_CLIENT_SECRET", pattern(`GOCSPX-[\w-]{28}`)),
		prefixed("google-access-token", "Google", "GOOGLE_ACCESS_TOKEN", pattern(`ya29.a0[\w-]{160,210}`)),
		prefixed("google-refresh-token", "Google", "GOOGLE_REFRESH_TOKEN", pattern(`1//0[\w-]{98}`)),
		prefixed("azure-client-secret", "Azure", "AZURE_CLIENT_SECRET", pattern(`[A-Za-z0-9]{3}8Q~[A-Za-z0-9_.~-]{34}`)),
		prefixed("azure-devops-pat", "Azure DevOps", "AZURE_DEVOPS_EXT_PAT", pattern(`[A-Za-z0-9]{52}JQQJ99B[A-L]ACAAAAAAA[A-Za-z0-9]{5}AAASAZDO[A-Za-z0-9]{4}`)),
		prefixed("azure-openai-key", "Azure OpenAI", "AZURE_OPENAI_API_KEY", pattern(`[A-Za-z0-9]{52}JQQJ99B[A-L]AC[A-Za-z0-9]{5}XJ3w3AAABACOG[A-Za-z0-9]{4}`)),
		prefixed("alibaba-access-key-id", "Alibaba Cloud", "ALIBABA_CLOUD_ACCESS_KEY_ID", pattern(`LTAI5t[A-Za-z0-9]{18}`)),
		prefixed("yandex-key", "Yandex Cloud", "YC_API_KEY", pattern(`AQVN[\w-]{36}`)),
		prefixed("digitalocean-pat", "DigitalOcean", "DIGITALOCEAN_TOKEN", pattern(`dop_v1_[0-9a-f]{64}`)),
		prefixed("digitalocean-oauth", "DigitalOcean", "DO_OAUTH_TOKEN", pattern(`doo_v1_[0-9a-f]{64}`)),
		prefixed("digitalocean-refresh", "DigitalOcean", "DO_REFRESH_TOKEN", pattern(`dor_v1_[0-9a-f]{64}`)),
		prefixed("heroku-key", "Heroku", "HEROKU_API_KEY", pattern(`HRKU-AA[\w-]{58}`)),
		prefixed("flyio-token", "Fly.io", "FLY_API_TOKEN", value(func(r random) string {
			return "FlyV1 fm2_" + base64.StdEncoding.EncodeToString(r.bytes(150))
		})),
		prefixed("flyio-personal", "Fly.io", "FLY_ACCESS_TOKEN", pattern(`fo1_[\w-]{43}`)),
		prefixed("netlify-token", "Netlify", "NETLIFY_AUTH_TOKEN", pattern(`nfp_[A-Za-z0-9]{36}`)),
		prefixed("render-key", "Render", "RENDER_API_KEY", pattern(`rnd_[A-Za-z0-9]{28}`)),
		prefixed("cloudflare-origin-ca", "Cloudflare", "CLOUDFLARE_ORIGIN_CA_KEY", pattern(`v1.0-[0-9a-f]{24}-[0-9a-f]{146}`)),
		prefixed("supabase-token", "Supabase", "SUPABASE_ACCESS_TOKEN", pattern(`sbp_[0-9a-f]{40}`)),
		prefixed("supabase-secret-key", "Supabase", "SUPABASE_SECRET_KEY", pattern(`sb_secret_[\w-]{22}_[\w-]{8}`)),
		prefixed("planetscale-password", "PlanetScale", "PLANETSCALE_PASSWORD", pattern(`pscale_pw_[\w-]{43}`)),
		prefixed("planetscale-token", "PlanetScale", "PLANETSCALE_SERVICE_TOKEN", pattern(`pscale_tkn_[\w-]{43}`)),
		prefixed("neon-key", "Neon", "NEON_API_KEY", pattern(`napi_[a-z0-9]{64}`)),
		prefixed("databricks-token", "Databricks", "DATABRICKS_TOKEN", pattern(`dapi[0-9a-f]{32}`)),
		prefixed("mongodb-atlas-secret", "MongoDB Atlas", "MONGODB_ATLAS_CLIENT_SECRET", pattern(`mdb_sa_sk_[\w-]{6}[A-Za-z0-9]{34}`)),
		prefixed("confluent-secret", "Confluent", "CONFLUENT_CLOUD_API_SECRET", pattern(`cflt[A-Za-z0-9+/]{60}`)),
		prefixed("doppler-personal", "Doppler", "DOPPLER_TOKEN", pattern(`dp.pt.[A-Za-z0-9]{43}`)),
		prefixed("doppler-service", "Doppler", "DOPPLER_SERVICE_TOKEN", pattern(`dp.st.prd.[A-Za-z0-9]{43}`)),
		prefixed("vault-service-token", "Vault", "VAULT_TOKEN", pattern(`hvs.CAESI[\w-]{90,100}`)),
		prefixed("vault-batch-token", "Vault", "VAULT_TOKEN", pattern(`hvb.AAAAAQ[\w-]{140,160}`)),
		prefixed("terraform-cloud-token", "Terraform Cloud", "TFE_TOKEN", pattern(`[A-Za-z0-9]{14}.atlasv1.[\w-]{67}`)),
		prefixed("pulumi-token", "Pulumi", "PULUMI_ACCESS_TOKEN", pattern(`pul-[0-9a-f]{40}`)),
		prefixed("1password-service-account", "1Password", "OP_SERVICE_ACCOUNT_TOKEN", value(func(r random) string {
			return base64JSON("ops_", struct {
				Address string            `json:"signInAddress"`
				Auth    map[string]string `json:"userAuth"`
				Email   string            `json:"email"`
				SRP     string            `json:"srpX"`
				Key     string            `json:"secretKey"`
			}{"my.1password.com", map[string]string{"method": "SRPg-4096", "alg": "PBES2g-HS256"}, r.expand("[a-z0-9]{13}") + "@1passwordserviceaccounts.com", r.hex(64),
				r.expand("A3-[A-Z2-9]{6}-[A-Z2-9]{6}-[A-Z2-9]{5}-[A-Z2-9]{5}-[A-Z2-9]{5}-[A-Z2-9]{5}")})
		})),
		prefixed("1password-secret-key", "1Password", "OP_SECRET_KEY", pattern(`A3-[A-Z2-9]{6}-[A-Z2-9]{6}-[A-Z2-9]{5}-[A-Z2-9]{5}-[A-Z2-9]{5}`)),
		prefixed("age-key", "age", "SOPS_AGE_KEY", value(func(r random) string { return bech32(r, "age-secret-key-", 32) })),
		prefixed("tailscale-auth-key", "Tailscale", "TS_AUTHKEY", pattern(`tskey-auth-k[A-Za-z0-9]{10}CNTRL-[A-Za-z0-9]{32}`)),
		prefixed("tailscale-api-key", "Tailscale", "TAILSCALE_API_KEY", pattern(`tskey-api-k[A-Za-z0-9]{10}CNTRL-[A-Za-z0-9]{32}`)),
		prefixed("openshift-token", "OpenShift", "OC_TOKEN", pattern(`sha256~[\w-]{43}`)),
		prefixed("scalingo-token", "Scalingo", "SCALINGO_API_TOKEN", pattern(`tk-us-[\w-]{48}`)),
		prefixed("jwt", "the identity service", "ACCESS_JWT", value(jwt)),
	}
}
