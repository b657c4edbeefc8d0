package netns

import (
	"strings"
	"testing"
)

func TestOnlyAddressesAreDialled(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.1:80", "[::1]:80", "0.0.0.0:0"} {
		if err := literal(addr); err != nil {
			t.Error(err)
		}
	}
	for _, addr := range []string{"localhost:80", "127.0.0.1", ":80", "example.com:443", ""} {
		if err := literal(addr); err == nil || !strings.Contains(err.Error(), "not an IP address with a port") {
			t.Errorf("%q: %v", addr, err)
		}
	}
}
