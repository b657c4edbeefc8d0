// Package template is the small language in which Docker's catalogs put the
// settings of a user into arguments, variables, volumes and users:
//
//	{{filesystem.paths|volume|into}}
//
// A text is a row of terms: {{ PATH | FILTER | … }} and what stands between
// them. PATH is a setting, with dots into nested ones. A setting that is not
// there gives "". A text that is one term alone keeps the type of its value, so
// that a list becomes several arguments ([List]); several terms become one
// text.
//
//	volume           P becomes P:P (on Windows paths C:\x:/C/x), a list each of its items
//	volume-target    P becomes what volume puts behind the colon
//	into             a list of texts; a lone value becomes a list of one
//	first, last      that item of a list, "" of an empty one
//	or:X, or:[X,Y]   X in the place of "" or an empty list; [X,Y] only of a list
//	mount_as:T       P becomes P:T, "" stays "", of a list the first item
//
// # Exactness
//
// The language is that of pkg/eval in github.com/docker/mcp-gateway (read at
// commit 2bd20fe8), with what surprises in it: an unknown filter does nothing,
// and "or:" and "mount_as:" with a blank before them are unknown; a brace that
// belongs to no term disappears; a path of the form \\host\share is no Windows
// path. [Ignored] and [Stray] find the first two in a text, for a linter.
//
// One thing differs: a number or truth value that is an argument of its own
// is written as it is, where pkg/eval writes "<int Value>".
package template
