// Package vuln tells which known vulnerabilities the parts of an image have.
//
// Nothing is looked up in the network and nothing is guessed. What an image is
// made of is read from its software bill of materials ([ReadSBOM]: SPDX or
// CycloneDX, which a trust policy has found to be signed), what is known to be
// vulnerable from a snapshot of the OSV database ([Open]: the folder that
// https://osv-vulnerabilities.storage.googleapis.com is copied into), and what
// the image's maker says of it from OpenVEX documents ([ReadVEX]). [Assess]
// puts the three together into a [Report]; a [Threshold] says what of it is too
// much.
//
//	db, err := vuln.Open("/var/lib/osv")
//	…
//	sbom, err := vuln.ReadSBOM(document)
//	…
//	report, err := vuln.Assess(ctx, db, vuln.Image{Name: name, Digest: digest}, sbom, nil)
//	…
//	err = vuln.Threshold{Max: vuln.Medium, MaxAge: 72 * time.Hour}.Check(report, time.Now())
//
// What could not be looked up is never silently fine: a package without a
// version, of a distribution that is not told, or of an ecosystem of which the
// snapshot has nothing stands in [Report.Unknown] with the reason, a
// vulnerability without a severity is [Unrated], and a report says how old its
// data is.
//
// VEX statements make findings disappear, so they must come from who is
// trusted: Assess believes each document that it is given. Of several
// statements about the same vulnerability and product the newest holds; one
// that is older than another cannot bring back what that has said.
package vuln
