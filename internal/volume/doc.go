// Package volume keeps named volumes, for every driver in the same place, so
// that a server can change its driver.
//
// A volume without a size is the folder volumes/SERVER/OWNER/NAME of the state
// folder ([Open]). It belongs to the user of the server, and nothing but the
// file system that it lies on bounds it.
//
// A volume with a size is a file system of its own ([OpenSized]): ext4, with a
// journal, in the sparse file volumes/SERVER/OWNER/@NAME/image, behind a loop
// device. The two never share content: the one is an error where the other is.
//
// # Why nothing has to be cleaned up
//
// The file system is mounted without a place on the host: by a descriptor here,
// and by the name of its device in the mount namespace of each instance. The
// kernel has one file system for one device however often that is mounted, and
// the loop device goes with its last user. So whoever is killed leaves
// nothing, and there are no users to be counted. The exception is who can be
// told nothing but a path of the host ([Sized.Place]).
//
// What must never happen is a second loop device for one image, whose file
// system would not know of the first one's. Whoever wants a device takes the
// lock volumes/SERVER/OWNER/@NAME/lock, looks at all devices for one of
// this image, and makes one only when there is none.
//
// A new image has another name until all of it is on the disk. What makes it or
// lets it grow is not stopped half-way when this process is, and holds the lock
// meanwhile. Should it be stopped all the same, the file
// volumes/SERVER/OWNER/@NAME/growing is left, and whoever opens the volume next
// mends it and goes on.
//
// # How one grows
//
// By resize2fs, while nobody uses it. The kernel could do so while it is used,
// but only for who has CAP_SYS_RESOURCE, which root of many machines has not.
//
// # Quotas
//
// Project quotas of the file system below would not hold: the owner of a file
// may give it to another project.
package volume
