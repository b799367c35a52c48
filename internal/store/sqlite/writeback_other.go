//go:build !linux

package sqlite

// writeBack has the kernel begin to write early, where it takes such requests.
func (c *conn) writeBack() {}
