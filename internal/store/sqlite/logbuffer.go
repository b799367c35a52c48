package sqlite

import (
	"errors"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	lib "modernc.org/sqlite/lib"
)

// logBuffer joins what the writer's connection writes to the log: SQLite writes
// each page with two system calls, one of them for 24 bytes. It stands in front of
// SQLite's own handle on the log, gathers writes that follow each other, and passes
// them on as one before anything else happens to the file.
//
// That changes nothing of what is promised. A commit syncs the log, which passes
// everything on first; only then does SQLite show the new pages to other
// connections. Until then this one alone knows of them, and it reads them through
// the same handle. What a write failed with, the call that passes it on fails with,
// and SQLite takes the transaction back either way.
type logBuffer struct {
	theirs  lib.Tsqlite3_io_methods // what SQLite's handle does by itself
	methods uintptr                 // what it does now, in the library's memory
	hooks   []any                   // the functions in there, which nobody else holds
	bytes   []byte
	at      int64 // in the file, of the first of them
}

// logBufferSize is how much is gathered: 31 pages. SQLite's own method writes no
// more than 128 KiB at a time.
const logBufferSize = 128<<10 - 1

type (
	closeCall    = func(tls *libc.TLS, file uintptr) int32
	moveCall     = func(tls *libc.TLS, file, p uintptr, n int32, at int64) int32 // read or write
	truncateCall = func(tls *libc.TLS, file uintptr, size int64) int32
	syncCall     = func(tls *libc.TLS, file uintptr, flags int32) int32
	sizeCall     = func(tls *libc.TLS, file, p uintptr) int32
)

// joinWrites puts a buffer in front of the log, which has to be open.
func (c *conn) joinWrites() error {
	handle, err := c.handle(lib.SQLITE_FCNTL_JOURNAL_POINTER)
	if err != nil {
		return err
	}
	file := (*lib.Tsqlite3_file)(pointer(handle))
	if handle == 0 || file.FpMethods == 0 {
		return errors.New("the log is not open")
	}
	b := &logBuffer{theirs: *(*lib.Tsqlite3_io_methods)(pointer(file.FpMethods)), bytes: make([]byte, 0, logBufferSize)}
	b.methods = libc.Xcalloc(c.tls, 1, types.Size_t(unsafe.Sizeof(b.theirs)))
	ours := (*lib.Tsqlite3_io_methods)(pointer(b.methods))
	*ours = b.theirs
	ours.FxWrite = hook(b, moveCall(b.write))
	ours.FxRead = hook(b, moveCall(func(tls *libc.TLS, file, p uintptr, n int32, at int64) int32 {
		return b.after(tls, file, func() int32 { return called[moveCall](b.theirs.FxRead)(tls, file, p, n, at) })
	}))
	ours.FxSync = hook(b, syncCall(func(tls *libc.TLS, file uintptr, flags int32) int32 {
		return b.after(tls, file, func() int32 { return called[syncCall](b.theirs.FxSync)(tls, file, flags) })
	}))
	ours.FxTruncate = hook(b, truncateCall(func(tls *libc.TLS, file uintptr, size int64) int32 {
		return b.after(tls, file, func() int32 { return called[truncateCall](b.theirs.FxTruncate)(tls, file, size) })
	}))
	ours.FxFileSize = hook(b, sizeCall(func(tls *libc.TLS, file, p uintptr) int32 {
		return b.after(tls, file, func() int32 { return called[sizeCall](b.theirs.FxFileSize)(tls, file, p) })
	}))
	ours.FxClose = hook(b, closeCall(func(tls *libc.TLS, file uintptr) int32 {
		// What is left was never committed.
		return called[closeCall](b.theirs.FxClose)(tls, file)
	}))
	file.FpMethods = b.methods
	c.log = b
	return nil
}

// write gathers, as SQLite's own method writes.
func (b *logBuffer) write(tls *libc.TLS, file, p uintptr, n int32, at int64) int32 {
	if len(b.bytes) > 0 && (at != b.at+int64(len(b.bytes)) || len(b.bytes)+int(n) > logBufferSize) {
		if rc := b.pass(tls, file); rc != lib.SQLITE_OK {
			return rc
		}
	}
	if n > logBufferSize {
		return called[moveCall](b.theirs.FxWrite)(tls, file, p, n, at)
	}
	if len(b.bytes) == 0 {
		b.at = at
	}
	b.bytes = append(b.bytes, bytesAt(p, int(n))...)
	return lib.SQLITE_OK
}

// pass writes what is gathered. What could not be written is dropped: SQLite takes
// the transaction back.
func (b *logBuffer) pass(tls *libc.TLS, file uintptr) int32 {
	if len(b.bytes) == 0 {
		return lib.SQLITE_OK
	}
	n := len(b.bytes)
	b.bytes = b.bytes[:0]
	return called[moveCall](b.theirs.FxWrite)(tls, file, uintptr(unsafe.Pointer(unsafe.SliceData(b.bytes))), int32(n), b.at)
}

// after does something else to the file, once all is written.
func (b *logBuffer) after(tls *libc.TLS, file uintptr, do func() int32) int32 {
	if rc := b.pass(tls, file); rc != lib.SQLITE_OK {
		return rc
	}
	return do()
}

// hook makes f callable by the library, as long as b lives.
func hook[F any](b *logBuffer, f F) uintptr {
	b.hooks = append(b.hooks, f)
	return *(*uintptr)(unsafe.Pointer(&f))
}

// called is the function behind a pointer of the library.
func called[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&p)) }
