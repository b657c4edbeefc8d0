// Package catalog is where definitions of servers come from: what a server is,
// what it needs, and what it asks for.
//
// A [Server] is the same whatever format it was read from; the packages below
// read those:
//
//	catalog/docker    Docker's catalogs, its registry's server.yaml, its OCI artifacts
//	catalog/template  the language in which entries refer to settings
//
// A [Catalog] finds servers by name and lists them. [Of] makes one of a list;
// [Union], [Filter], [Overlay] and [Cache] make one of others. Each server
// tells where it is from ([Server.Origin]), and which others of the same name
// it stands in front of ([Server.Hides]). An [Index] searches.
//
//	cat := catalog.Union(own, catalog.Filter(docker, signed))
//	s, err := cat.Resolve(ctx, "grafana")
//	if err := s.CheckSettings(settings); err != nil { … } // names what is missing
//
// # Asked is not granted
//
// Whoever writes an entry is not whoever runs it. Folders, hosts, users,
// classes and limits that an entry wants stand in [Server.Asks]; nothing in
// this library acts on them unless an operator grants them. The same holds for
// [Secret.AskedHosts].
package catalog
