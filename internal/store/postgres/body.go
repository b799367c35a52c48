package postgres

import (
	"time"

	"github.com/klauspost/compress/zstd"
)

// largeBody is from which size on a body is compressed: below it, that costs
// more than it saves.
const largeBody = 2 << 10

// deflater may be used by many at once.
var deflater = func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // the options are constants
	}
	return e
}()

// deflate compresses a large body, if that makes it smaller.
func deflate(b []byte) (small []byte, ok bool) {
	if len(b) <= largeBody {
		return nil, false
	}
	small = deflater.EncodeAll(b, make([]byte, 0, len(b)/2))
	return small, len(small) < len(b)
}

// unless returns v, or zero if it is the usual one.
func unless(v, usual time.Time) time.Time {
	if v.Equal(usual) {
		return time.Time{}
	}
	return v
}
