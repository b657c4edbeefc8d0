package hostmount

import (
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		m    runtime.Mount
		want string // in the error; empty: none
	}{
		{runtime.Mount{Source: "/srv/docs", Target: "/docs"}, ""},
		{runtime.Mount{Volume: "state", Target: "/var/lib/x"}, ""},
		{runtime.Mount{Target: "/docs"}, "neither"},
		{runtime.Mount{Source: "/a", Volume: "b", Target: "/docs"}, "both"},
		{runtime.Mount{Source: "docs", Target: "/docs"}, "not absolute"},
		{runtime.Mount{Source: "/a\x00b", Target: "/docs"}, "zero byte"},
		{runtime.Mount{Source: "/a", Target: "/d\x00b"}, "zero byte"},
		{runtime.Mount{Source: "/a"}, "no target"},
		{runtime.Mount{Source: "/a", Target: "docs"}, "not absolute"},
		{runtime.Mount{Source: "/a", Target: "/docs/../x"}, "write /x"},
		{runtime.Mount{Source: "/a", Target: "/docs/"}, "write /docs"},
		{runtime.Mount{Source: "/a", Target: "/"}, "root"},
		{runtime.Mount{Source: "/a", Target: "/proc"}, "/proc"},
		{runtime.Mount{Source: "/a", Target: "/sys/fs"}, "/sys"},
		{runtime.Mount{Source: "/a", Target: "/dev/shm"}, "/dev"},
		{runtime.Mount{Source: "/a", Target: "/devices"}, ""},
		{runtime.Mount{Volume: "..", Target: "/v"}, "name of a volume"},
		{runtime.Mount{Volume: "a/b", Target: "/v"}, "name of a volume"},
		{runtime.Mount{Volume: "Ä", Target: "/v"}, "name of a volume"},
		{runtime.Mount{Volume: strings.Repeat("a", 65), Target: "/v"}, "name of a volume"},
		{runtime.Mount{Volume: "a", Target: "/v", Force: true}, "no force"},
		{runtime.Mount{Volume: "a", Target: "/v", Size: 16 << 20}, ""},
		{runtime.Mount{Volume: "a", Target: "/v", Size: 16<<20 - 1}, "less than 16777216"},
		{runtime.Mount{Volume: "a", Target: "/v", Size: -1}, "negative"},
		{runtime.Mount{Source: "/a", Target: "/v", Size: 16 << 20}, "one of a volume"},
	} {
		err := Check([]runtime.Mount{test.m})
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%+v: %v", test.m, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%+v: got %v, want one with %q", test.m, err, test.want)
		}
	}
	twice := []runtime.Mount{{Source: "/a", Target: "/x"}, {Source: "/b", Target: "/x"}}
	if err := Check(twice); err == nil || !strings.Contains(err.Error(), "mount of /b at /x") {
		t.Errorf("two mounts with one target: %v", err)
	}
}
