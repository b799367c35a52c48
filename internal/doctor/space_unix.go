//go:build linux || darwin || freebsd

package doctor

import "syscall"

// space is the room on the disk of a folder, in bytes, for who is not root.
func space(dir string) (free, total int64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), nil
}
