package process

import "golang.org/x/sys/windows"

// systemEnvironment is what every server gets unless it is given something
// else.
func systemEnvironment() map[string]string {
	root, err := windows.GetSystemWindowsDirectory()
	if err != nil {
		root = `C:\Windows`
	}
	return map[string]string{"PATH": root + `\system32;` + root, "SYSTEMROOT": root}
}
