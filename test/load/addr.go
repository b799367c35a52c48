package load

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// FreeAddr finds a loopback address that nobody listens on, below the ports
// that the kernel gives to outgoing connections (32768 and up by default on
// Linux), so that none of them takes it while a server is being restarted.
func FreeAddr() (string, error) {
	for range 100 {
		ln, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(20_000+rand.IntN(12_000)))
		if err == nil {
			defer ln.Close()
			return ln.Addr().String(), nil
		}
	}
	return "", errors.New("no free port between 20000 and 32000")
}
