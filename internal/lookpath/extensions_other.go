//go:build !windows

package lookpath

var extensions = []string{""}
