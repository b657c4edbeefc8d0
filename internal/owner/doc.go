// Package owner says to which gateway something on this machine belongs, and
// whether that gateway still lives.
//
// Each running gateway holds the lock of a file of its random id in the folder
// "owners" of its state folder, and labels what it makes with the id, the boot
// and the state folder. The kernel gives the lock back when the process ends,
// however it ends, so that whoever has the same state folder can tell what is
// left of dead gateways from what belongs to a living neighbour:
//
//	o, err := owner.Hold(state)
//	if err != nil {
//		return err
//	}
//	defer o.Release()
//	label(container, o.ID, o.Boot, o.State)
//	…
//	if l := labels(other); l.State == o.State && owner.Dead(o.State, l.ID, l.Boot) {
//		remove(other)
//	}
//
// A lock file can be cleaned away while its owner lives. Who would harm a living
// owner by that labels with its Process too, and asks [Gone] in the place of
// [Dead].
//
// It needs a Unix system; elsewhere [Hold] fails and nobody is ever [Dead].
package owner
