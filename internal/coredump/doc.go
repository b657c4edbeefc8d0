// Package coredump says how core dumps of servers are turned off, which would
// hold their secrets. A limit of 0 bytes keeps the kernel from writing a file,
// but where core_pattern names a program, that gets the dump all the same; the
// limit of 1 byte is the one that ends this too, since the kernel gives it to
// such programs themselves (fs/coredump.c). As to sockets, to which newer kernels
// can send a dump whatever the limit is, it has nothing in it but registers.
package coredump
