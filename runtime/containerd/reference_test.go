package containerd

import (
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/internal/layoutref"
)

func TestParseReference(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("ab", 32)
	for image, want := range map[string]reference{
		"alpine":                              {source: fromRegistry, name: "docker.io/library/alpine:latest"},
		"mcp/time:1":                          {source: fromRegistry, name: "docker.io/mcp/time:1"},
		"docker.io/mcp/time@" + digest:        {source: fromRegistry, name: "docker.io/mcp/time@" + digest, digest: digest},
		"index.docker.io/mcp/time@" + digest:  {source: fromRegistry, name: "docker.io/mcp/time@" + digest, digest: digest},
		"ghcr.io/a/b:v1@" + digest:            {source: fromRegistry, name: "ghcr.io/a/b@" + digest, digest: digest},
		"127.0.0.1:5000/probe:v1":             {source: fromRegistry, name: "127.0.0.1:5000/probe:v1"},
		"localhost:5000/probe":                {source: fromRegistry, name: "localhost:5000/probe:latest"},
		"oci:/srv/images/probe":               {source: fromLayout, layout: layoutref.Ref{Path: "/srv/images/probe"}},
		"oci:/srv/images/probe:v1":            {source: fromLayout, layout: layoutref.Ref{Path: "/srv/images/probe", Tag: "v1"}},
		"oci:/srv/images/probe@" + digest:     {source: fromLayout, layout: layoutref.Ref{Path: "/srv/images/probe", Digest: digest}},
		"oci:/srv/a:b/probe":                  {source: fromLayout, layout: layoutref.Ref{Path: "/srv/a:b/probe"}},
		"docker-archive:/srv/probe:1.tar":     {source: fromArchive, path: "/srv/probe:1.tar"},
		"containerd:docker.io/library/a:tag":  {source: inContainerd, name: "docker.io/library/a:tag"},
		"containerd:gatehouse.local/x@sha256": {source: inContainerd, name: "gatehouse.local/x@sha256"},
	} {
		got, err := parseReference(image)
		got.repo = want.repo
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", image, got, err, want)
		}
	}
	for _, image := range []string{
		"", "UPPER/case", "a@sha256:12", "oci:", "oci:relative/path", "oci:/path:", "docker-archive:x.tar", "containerd:",
		"http://example.com/x", "a b", "oci:/\x00",
	} {
		if got, err := parseReference(image); err == nil {
			t.Errorf("%q was read as %+v", image, got)
		}
	}
}
