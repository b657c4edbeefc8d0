// Package containerd runs each server in a container of its own.
package containerd
