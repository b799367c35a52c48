//go:build unix

package sqlite

import (
	"errors"
	"os"
	"syscall"

	"github.com/seawall-dev/seawall/seawall"
)

// lockFile takes an exclusive lock that the kernel gives back when the process
// ends, however it ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, seawall.Errorf(seawall.ErrConflict, "another gateway serves this store").
			WithHint("stop it first: an SQLite store has one serving process")
	}
	return nil, err
}
