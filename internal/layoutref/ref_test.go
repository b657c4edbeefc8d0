package layoutref

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("0a", 32)
	for text, want := range map[string]Ref{
		"oci:/srv/image":              {Path: "/srv/image"},
		"oci:/srv/image:v1":           {Path: "/srv/image", Tag: "v1"},
		"oci:/a:b/c":                  {Path: "/a:b/c"},
		"oci:/srv/image@" + digest:    {Path: "/srv/image", Digest: digest},
		"oci:/srv/image:v1@" + digest: {Path: "/srv/image", Tag: "v1", Digest: digest},
		"oci:/a:b@c/d@" + digest:      {Path: "/a:b@c/d", Digest: digest},
		"oci:/srv/i@ge:v1":            {Path: "/srv/i@ge", Tag: "v1"},
	} {
		if got, err := Parse(text); err != nil || got != want || got.String() != text {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"": "it is no oci:PATH", "docker.io/x": "it is no oci:PATH", "oci:": "no path", "oci:relative": "not absolute",
		"oci:/a:": "the tag is empty", "oci:/\x00": "no path", "oci:@" + digest: "no path",
		"oci:/a@" + strings.ToUpper(digest): "the digest is not", "oci:/a@" + digest[:70]: "the digest is not",
	} {
		if got, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %q", text, got, err, want)
		}
	}
}
