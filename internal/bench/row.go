package main

import (
	"fmt"
	"regexp"
)

// path is what stands between the clients and the server.
type path string

const (
	direct   path = "direct"   // nothing
	hop      path = "hop"      // httputil.ReverseProxy
	empty    path = "empty"    // the gateway, no interceptors, not even its baseline
	baseline path = "baseline" // the gateway as it comes
	ten      path = "ten"      // the gateway with its baseline and ten interceptors
	session  path = "session"  // as empty, a server process for each session
)

// link is how the server is reached.
type link string

const (
	overHTTP  link = "http"
	overStdio link = "stdio"
)

// era is the revision that the clients speak.
type era string

const (
	legacy era = "legacy"
	modern era = "modern"
)

// row is one line of the table.
type row struct {
	Link    link      `json:"link"`
	Era     era       `json:"era"`
	Clients int       `json:"clients"`
	Op      operation `json:"op"`
	Path    path      `json:"path"`
}

// String is the row's name, as the flag -rows sees it.
func (r row) String() string {
	return fmt.Sprintf("%s/%s/%d/%s/%s", r.Link, r.Era, r.Clients, r.Op, r.Path)
}

// with is the row beside it that goes another way.
func (r row) with(p path) row {
	r.Path = p
	return r
}

// yardstick is the row of the hop: a hop before a server on a pipe does not
// exist, so that those are held against the one over HTTP.
func (r row) yardstick() row {
	r.Link = overHTTP
	return r.with(hop)
}

// Few and many clients.
const (
	one  = 1
	many = 32
)

// plan lists the rows whose names match, those that are compared next to each
// other.
func plan(only *regexp.Regexp) []row {
	var rows []row
	add := func(r row, paths ...path) {
		for _, p := range paths {
			if r = r.with(p); only == nil || only.MatchString(r.String()) {
				rows = append(rows, r)
			}
		}
	}
	for _, clients := range []int{one, many} {
		for _, e := range []era{legacy, modern} {
			add(row{Link: overHTTP, Era: e, Clients: clients, Op: opEcho}, direct, hop, empty, baseline, ten)
			add(row{Link: overStdio, Era: e, Clients: clients, Op: opEcho}, direct, empty, baseline, ten)
		}
	}
	add(row{Link: overStdio, Era: legacy, Clients: many, Op: opEcho}, session)
	add(row{Link: overHTTP, Era: legacy, Clients: many, Op: opBig}, direct, hop, empty, baseline, ten)
	for _, e := range []era{legacy, modern} {
		add(row{Link: overHTTP, Era: e, Clients: many, Op: opList}, direct, hop, empty, baseline, ten)
	}
	return rows
}
