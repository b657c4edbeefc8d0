package process

import "golang.org/x/sys/windows"

var executableExtensions = []string{"", ".exe", ".com", ".bat", ".cmd"}

// systemEnvironment is what every server gets unless it is given something
// else.
func systemEnvironment() map[string]string {
	root, err := windows.GetSystemWindowsDirectory()
	if err != nil {
		root = `C:\Windows`
	}
	return map[string]string{"PATH": root + `\system32;` + root, "SYSTEMROOT": root}
}
