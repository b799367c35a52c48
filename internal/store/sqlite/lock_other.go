//go:build !unix

package sqlite

import "os"

// lockFile opens the lock file only: there is no flock here, and keeping to one
// serving process is left to whoever starts it.
func lockFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
}
