//go:build !race

package transport

// poison overwrites memory that was given back; see lent_race.go.
const poison = false
