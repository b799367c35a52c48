//go:build unix

package send

import "syscall"

const canLook = true

// quiet tells of a connection that is not in use whether there is nothing to be read
// from it, not even its end. If there is, nobody will use it any more.
func quiet(fd uintptr) bool {
	var b [1]byte
	_, err := syscall.Read(int(fd), b[:])
	return err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
}
