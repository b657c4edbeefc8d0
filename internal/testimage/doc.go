// Package testimage builds container images for tests from what is on this
// machine: a static Go program, or Node with a published npm server. Nothing
// is downloaded.
//
//	images, err := testimage.New() // in TestMain; Close at the end
//	img := images.Static(t, "internal/testimage/probe")
//	spec.Image = "oci:" + testimage.Layout(t, img, "v1") + ":v1"
//	spec.Image = "docker-archive:" + testimage.Archive(t, img, "probe:v1")
//	spec.Image = testimage.Registry(t).Push(t, img, "probe")
//
// It is behind the build tag e2e.
package testimage
