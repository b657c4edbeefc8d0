// Package profile says what a group of callers gets of a gateway: which
// servers, and which of their tools.
//
//	p := profile.Profile{Name: "review", Servers: map[string]profile.Server{
//		"files":  {Tools: profile.Names{Allow: []string{"read_*", "list_*"}}},
//		"search": {},
//	}}
//	p.Allows("files", "write_file") // false
//
// It is pure data: it runs nothing and knows no gateway. gateway/config reads
// profiles from the section of that name.
package profile
