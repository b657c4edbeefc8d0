// Package volume keeps the folders of named volumes, for every driver in the
// same place, so that a server can change its driver.
//
// A volume is the folder volumes/SERVER/OWNER/NAME of the state folder. It
// belongs to the user of the server. Its size is not bounded.
package volume
