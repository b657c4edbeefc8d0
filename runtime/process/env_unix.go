//go:build !windows

package process

// systemEnvironment is what every server gets unless it is given something
// else.
func systemEnvironment() map[string]string { return map[string]string{"PATH": DefaultPath} }
