package injecttest

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// authoritiesFile is where the image of WithAuthorities has its own.
const authoritiesFile = "/etc/ssl/certs/ca-certificates.crt"

// WithAuthorities adds to an image the authorities of TLS, of which there is
// one, and a folder /run.
func WithAuthorities(t testing.TB, img v1.Image) v1.Image {
	t.Helper()
	_, roots := Certificate(t, "root.test")
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, dir := range []string{"etc/", "etc/ssl/", "etc/ssl/certs/", "run/"} {
		if err := w.WriteHeader(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.WriteHeader(&tar.Header{Name: authoritiesFile[1:], Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(roots))}); err != nil {
		t.Fatal(err)
	}
	_, err := w.Write(roots)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	if img, err = mutate.AppendLayers(img, layer); err != nil {
		t.Fatal(err)
	}
	return img
}

// RunWithAuthorities has a server of such an image use the secret, without any
// variable that would name another file. file: it has the file of the secret.
func RunWithAuthorities(t *testing.T, i runtime.Instance, file bool) {
	for _, file := range []string{authoritiesFile, "/dev/gatehouse-ca.pem"} {
		var text string
		if err := json.Unmarshal([]byte(ask(t, i, "probe/read", file)), &text); err != nil || strings.Count(text, "BEGIN CERTIFICATE") != 2 {
			t.Errorf("%s holds %s, %v", file, text, err)
		}
	}
	if file && !strings.Contains(ask(t, i, "probe/read", "/run/secrets/token"), "ghplaceholder_") {
		t.Error("the file does not hold the placeholder")
	}
	if got := ask(t, i, "probe/fetch", "https://"+Bound+"/ x"); !strings.Contains(got, " 200 ") {
		t.Errorf("the service answered %s", got)
	}
}
