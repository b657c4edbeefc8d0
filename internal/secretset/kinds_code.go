package secretset

import (
	"encoding/base64"
	"fmt"
)

// codeKinds are of forges, package registries and what builds and watches
// software.
func codeKinds() []kind {
	return []kind{
		prefixed("github-pat", "GitHub", "GITHUB_TOKEN", value(func(r random) string { return crcBase62(r, "ghp_") })),
		prefixed("github-oauth", "GitHub", "GITHUB_OAUTH_TOKEN", value(func(r random) string { return crcBase62(r, "gho_") })),
		prefixed("github-user", "GitHub", "GH_TOKEN", value(func(r random) string { return crcBase62(r, "ghu_") })),
		prefixed("github-app", "GitHub", "GITHUB_APP_TOKEN", value(func(r random) string { return crcBase62(r, "ghs_") })),
		prefixed("github-refresh", "GitHub", "GITHUB_REFRESH_TOKEN", value(func(r random) string { return crcBase62(r, "ghr_") })),
		prefixed("github-fine-grained", "GitHub", "GITHUB_PERSONAL_ACCESS_TOKEN", pattern(`github_pat_11[A-Z0-9]{20}_[A-Za-z0-9]{59}`)),
		prefixed("gitlab-pat", "GitLab", "GITLAB_TOKEN", pattern(`glpat-[\w-]{20}`)),
		prefixed("gitlab-pat-routable", "GitLab", "GITLAB_PRIVATE_TOKEN", value(func(r random) string { return crcBase36(r, "glpat-") })),
		prefixed("gitlab-runner", "GitLab", "CI_RUNNER_TOKEN", pattern(`glrt-[\w-]{20}`)),
		prefixed("gitlab-deploy", "GitLab", "CI_DEPLOY_PASSWORD", pattern(`gldt-[\w-]{20}`)),
		prefixed("gitlab-trigger", "GitLab", "TRIGGER_TOKEN", pattern(`glptt-[0-9a-f]{40}`)),
		prefixed("gitlab-job", "GitLab", "CI_JOB_TOKEN", pattern(`glcbt-[0-9a-f]{2}_[\w-]{20}`)),
		prefixed("gitlab-agent", "GitLab", "KAS_TOKEN", pattern(`glagent-[\w-]{50}`)),
		prefixed("gitlab-oauth-app", "GitLab", "GITLAB_CLIENT_SECRET", pattern(`gloas-[0-9a-f]{64}`)),
		prefixed("bitbucket-app-password", "Bitbucket", "BITBUCKET_APP_PASSWORD", value(func(r random) string { return crcHex(r, `ATBB[A-Za-z0-9]{24}`) })),
		prefixed("atlassian-api-token", "Jira", "JIRA_API_TOKEN", value(func(r random) string { return crcHex(r, `ATATT3xFfGF0[\w-]{171}=`) })),
		prefixed("bitbucket-repository-token", "Bitbucket", "BITBUCKET_TOKEN", value(func(r random) string { return crcHex(r, `ATCTT3xFfGN0[\w-]{171}=`) })),
		prefixed("npm-token", "npm", "NPM_TOKEN", value(func(r random) string { return crcBase62(r, "npm_") })),
		prefixed("pypi-token", "PyPI", "TWINE_PASSWORD", value(pypi)),
		prefixed("rubygems-key", "RubyGems", "GEM_HOST_API_KEY", pattern(`rubygems_[0-9a-f]{48}`)),
		prefixed("crates-token", "crates.io", "CARGO_REGISTRY_TOKEN", pattern(`cio[A-Za-z0-9]{32}`)),
		prefixed("nuget-key", "NuGet", "NUGET_API_KEY", pattern(`oy2[a-z0-9]{43}`)),
		prefixed("clojars-token", "Clojars", "CLOJARS_PASSWORD", pattern(`CLOJARS_[0-9a-f]{60}`)),
		prefixed("docker-pat", "Docker Hub", "DOCKERHUB_TOKEN", pattern(`dckr_pat_[\w-]{27}`)),
		prefixed("docker-org-token", "Docker Hub", "DOCKER_PASSWORD", pattern(`dckr_oat_[\w-]{32}`)),
		prefixed("jfrog-api-key", "Artifactory", "ARTIFACTORY_API_KEY", pattern(`AKCp[A-Za-z0-9]{69}`)),
		prefixed("jfrog-reference-token", "JFrog", "JFROG_ACCESS_TOKEN", value(func(r random) string {
			return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "reftkn:01:%010d:%s", 1700000000+r.IntN(1e8), r.expand("[A-Za-z0-9]{28}")))
		})),
		prefixed("sourcegraph-token", "Sourcegraph", "SRC_ACCESS_TOKEN", pattern(`sgp_[0-9a-f]{16}_[0-9a-f]{40}`)),
		prefixed("sonarqube-user-token", "SonarQube", "SONAR_TOKEN", pattern(`squ_[0-9a-f]{40}`)),
		prefixed("sonarqube-project-token", "SonarQube", "SONARQUBE_TOKEN", pattern(`sqp_[0-9a-f]{40}`)),
		prefixed("buildkite-token", "Buildkite", "BUILDKITE_API_TOKEN", pattern(`bkua_[0-9a-f]{40}`)),
		prefixed("circleci-token", "CircleCI", "CIRCLE_TOKEN", pattern(`CCIPAT_[A-Za-z0-9]{22}_[0-9a-f]{40}`)),
		prefixed("postman-key", "Postman", "POSTMAN_API_KEY", pattern(`PMAK-[0-9a-f]{24}-[0-9a-f]{34}`)),
		prefixed("grafana-service-account", "Grafana", "GRAFANA_SERVICE_ACCOUNT_TOKEN", value(func(r random) string { return crcLittleHex(r, `glsa_[A-Za-z0-9]{32}`) })),
		prefixed("grafana-cloud", "Grafana Cloud", "GRAFANA_CLOUD_API_KEY", value(func(r random) string {
			return base64JSON("glc_", struct {
				O string            `json:"o"`
				N string            `json:"n"`
				K string            `json:"k"`
				M map[string]string `json:"m"`
			}{r.expand("[1-9][0-9]{6}"), r.service() + "-writer", r.expand("[A-Za-z0-9]{24}"), map[string]string{"r": "prod-eu-west-2"}})
		})),
		prefixed("grafana-api-key", "Grafana", "GRAFANA_API_KEY", value(func(r random) string {
			return base64JSON("", struct {
				K  string `json:"k"`
				N  string `json:"n"`
				ID int    `json:"id"`
			}{r.expand("[A-Za-z0-9]{32}"), r.service(), 1})
		})),
		prefixed("sentry-user-token", "Sentry", "SENTRY_AUTH_TOKEN", pattern(`sntryu_[0-9a-f]{64}`)),
		prefixed("sentry-org-token", "Sentry", "SENTRY_AUTH_TOKEN", value(func(r random) string {
			return base64JSON("sntrys_", struct {
				IAT    float64 `json:"iat"`
				URL    string  `json:"url"`
				Region string  `json:"region_url"`
				Org    string  `json:"org"`
			}{1.7e9 + float64(r.IntN(1e8)) + 0.25, "https://sentry.io", "https://us.sentry.io", r.service()}) + "_" + r.expand(`[A-Za-z0-9+/]{43}`)
		})),
		prefixed("newrelic-user-key", "New Relic", "NEW_RELIC_API_KEY", pattern(`NRAK-[A-Z0-9]{27}`)),
		prefixed("newrelic-license", "New Relic", "NEW_RELIC_LICENSE_KEY", pattern(`[0-9a-f]{36}NRAL`)),
		prefixed("dynatrace-token", "Dynatrace", "DT_API_TOKEN", pattern(`dt0c01.[A-Z2-7]{24}.[A-Z2-7]{64}`)),
		prefixed("honeycomb-ingest-key", "Honeycomb", "HONEYCOMB_API_KEY", pattern(`hcaik_[a-z0-9]{58}`)),
		prefixed("datadog-app-key", "Datadog", "DD_APP_KEY", pattern(`ddapp_[A-Za-z0-9]{34}`)),
		prefixed("posthog-personal-key", "PostHog", "POSTHOG_PERSONAL_API_KEY", pattern(`phx_[A-Za-z0-9]{43}`)),
		prefixed("launchdarkly-sdk-key", "LaunchDarkly", "LAUNCHDARKLY_SDK_KEY", value(func(r random) string { return "sdk-" + r.uuid() })),
		prefixed("launchdarkly-api-key", "LaunchDarkly", "LAUNCHDARKLY_ACCESS_TOKEN", value(func(r random) string { return "api-" + r.uuid() })),
		prefixed("axiom-token", "Axiom", "AXIOM_TOKEN", value(func(r random) string { return "xaat-" + r.uuid() })),
		prefixed("prefect-key", "Prefect", "PREFECT_API_KEY", pattern(`pnu_[A-Za-z0-9]{36}`)),
		prefixed("statsig-secret", "Statsig", "STATSIG_SERVER_SECRET", pattern(`secret-[A-Za-z0-9]{43}`)),
	}
}

// pypi is a macaroon: version, location pypi.org, a caveat, a signature.
func pypi(r random) string {
	b := append([]byte{2, 1, 8}, "pypi.org"...)
	b = append(b, 2, 0x24)
	b = append(b, r.uuid()...)
	b = append(b, 0, 2, 0x2c)
	b = append(b, `[2,"`+r.uuid()+`"]`...)
	b = append(b, 0, 0, 6, 0x20)
	return "pypi-" + base64.RawURLEncoding.EncodeToString(append(b, r.bytes(32)...))
}
