package lookpath

var extensions = []string{"", ".exe", ".com", ".bat", ".cmd"}
