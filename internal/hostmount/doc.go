// Package hostmount opens what a [runtime.Mount] names, so that a driver can
// hand it to a server as a descriptor: between the check and the mount nobody
// can put something else in its place.
//
//	f, err := hostmount.Open(m) // m.Source, by openat2 without symbolic links
//	if err != nil {
//		return err
//	}
//	defer f.Close()
//	source := fmt.Sprintf("/proc/self/fd/%d", f.Fd()) // mount --bind source m.Target
//
// [Check] looks at mounts without touching the host, [Open] at one of them on
// it. Both refuse by default; what Force allows, the errors say.
package hostmount
