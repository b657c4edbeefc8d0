// Package docker reads the catalogs of Docker's MCP Toolkit: the catalog files
// of its gateway (versions 2 and 3), the server.yaml and tools.json of its
// registry, its OCI artifacts, and the label by which an image describes
// itself.
//
//	f, err := docker.Parse("catalog.yaml", data, nil)
//	cat := catalog.Of(f.Servers()...)
//
// A document that cannot be read at all is an error; a fault of one entry is
// in [Entry.Faults] and stops nothing. What the readers of Docker do not know,
// and what [catalog.Server] has no place for, is kept in Extra, and
// [File.Encode] writes a document with all that it held, comments included.
//
// # Artifacts
//
// Whoever can push an image or an artifact can write what it says of itself.
// [ParseLabel], [ParseArtifact] and [ParseProfile] therefore leave out what
// shapes the running server: arguments, mounts, user, hosts, values of
// variables, secrets and containers of tools. [Entry.Dropped] names what was
// there. [Options.Whole] reads all of an artifact whose signature was
// verified.
//
// # Bounds
//
// A catalog has at most 64 MiB, 64 levels and 8 million values after its
// aliases are expanded; a server.yaml, a tools.json or a label 4 MiB.
//
// Sources: docker/mcp-gateway at 2bd20fe8 (pkg/catalog, pkg/catalog_next,
// pkg/workingset, docs/server-entry-spec.md) and docker/mcp-registry at
// 818bf169 (pkg/servers, pkg/catalog, docs/configuration.md).
package docker
