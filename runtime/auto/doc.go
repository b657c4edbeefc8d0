// Package auto picks what confines servers: containerd when it answers, else
// the sandbox, once, when the Runtime is made. It never picks the driver of
// plain processes.
//
//	rt, err := auto.New(ctx, "/var/lib/gatehouse", nil)
//	if err != nil {
//		return err // neither can be had; the error says what each lacks
//	}
//	defer rt.Close()
//	log.Print(rt.Description()) // which one, and why
//
// A Runtime that chose containerd never falls back later: while containerd is
// away, starts fail. Where containerd was chosen, local commands, which it
// cannot start, are refused as with containerd alone.
package auto
