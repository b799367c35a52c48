package postgres

import (
	"encoding/binary"
	"errors"
	"time"
)

// Types, by the numbers under which PostgreSQL's protocol knows them.
const (
	oidBytes = 17
	oidInt8  = 20
	oidInt2  = 21
	oidInt4  = 23
	oidText  = 25
	oidTime  = 1184
	oidUUID  = 2950
)

// arrayOf is the type of an array of each.
var arrayOf = map[uint32]uint32{oidBytes: 1001, oidInt8: 1016, oidInt2: 1005, oidInt4: 1007, oidText: 1009, oidTime: 1185, oidUUID: 2951}

// column is one column of many rows as one parameter: an array in the binary
// form of the protocol, written as rows are added.
type column struct {
	b     []byte
	n     int
	nulls bool
}

// headLen is what comes before an array's elements.
const headLen = 20

// columns are the parameters of a statement. Rows are added value by value: row
// says with which column to begin, and each value goes to the next. The driver's
// own encoding of arrays costs more than all else that is done for a row; the
// memory is used again and again.
type columns struct {
	cols    []column
	next    int
	values  [][]byte
	formats []int16
}

// reset makes the columns empty, n of them.
func (cs *columns) reset(n int) {
	for len(cs.cols) < n {
		cs.cols = append(cs.cols, column{})
	}
	cs.cols = cs.cols[:n]
	for i := range cs.cols {
		c := &cs.cols[i]
		if cap(c.b) > maxKept {
			c.b = nil
		}
		c.b = append(c.b[:0], make([]byte, headLen)...)
		c.n, c.nulls = 0, false
	}
}

// maxKept bounds the memory that a column keeps for the next batch.
const maxKept = 8 << 20

// finish writes the heads of the arrays, whose elements are of these types, and
// returns them as parameters.
func (cs *columns) finish(types []uint32) (values [][]byte, formats []int16) {
	cs.values, cs.formats = cs.values[:0], cs.formats[:0]
	for i := range cs.cols {
		c := &cs.cols[i]
		binary.BigEndian.PutUint32(c.b[0:], 1) // dimensions
		if c.nulls {
			c.b[7] = 1
		}
		binary.BigEndian.PutUint32(c.b[8:], types[i])
		binary.BigEndian.PutUint32(c.b[12:], uint32(c.n))
		c.b[19] = 1 // the number of the first element
		cs.values, cs.formats = append(cs.values, c.b), append(cs.formats, 1)
	}
	return cs.values, cs.formats
}

func (cs *columns) row(first int) *columns {
	cs.next = first
	return cs
}

// take returns the column whose turn it is.
func (cs *columns) take() *column {
	c := &cs.cols[cs.next]
	cs.next++
	c.n++
	return c
}

func (cs *columns) null() *columns {
	c := cs.take()
	c.nulls = true
	c.b = append(c.b, 0xff, 0xff, 0xff, 0xff)
	return cs
}

func (cs *columns) int2(v int16) *columns {
	c := cs.take()
	c.b = append(c.b, 0, 0, 0, 2, byte(v>>8), byte(v))
	return cs
}

func (cs *columns) int4(v int32) *columns {
	c := cs.take()
	c.b = binary.BigEndian.AppendUint32(append(c.b, 0, 0, 0, 4), uint32(v))
	return cs
}

func (cs *columns) int8(v int64) *columns {
	c := cs.take()
	c.b = binary.BigEndian.AppendUint64(append(c.b, 0, 0, 0, 8), uint64(v))
	return cs
}

// epoch is when PostgreSQL's time begins, in microseconds since 1970.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()

// time adds a time, NULL for the zero one.
func (cs *columns) time(t time.Time) *columns {
	if t.IsZero() {
		return cs.null()
	}
	return cs.int8(t.UnixMicro() - epoch)
}

// uuid adds an id, NULL for the zero one.
func (cs *columns) uuid(v [16]byte) *columns {
	if v == [16]byte{} {
		return cs.null()
	}
	c := cs.take()
	c.b = append(append(c.b, 0, 0, 0, 16), v[:]...)
	return cs
}

// blob adds bytes, NULL for none.
func (cs *columns) blob(v []byte) *columns {
	if len(v) == 0 {
		return cs.null()
	}
	c := cs.take()
	c.b = append(binary.BigEndian.AppendUint32(c.b, uint32(len(v))), v...)
	return cs
}

// rank adds bytes even if there are none: what is ordered has a rank, an empty one
// where nothing is known.
func (cs *columns) rank(v []byte) *columns {
	c := cs.take()
	c.b = append(binary.BigEndian.AppendUint32(c.b, uint32(len(v))), v...)
	return cs
}

// text adds a text, NULL for none. What the server does not take as text is
// replaced.
func (cs *columns) text(v string) *columns {
	if v == "" {
		return cs.null()
	}
	return cs.word(v)
}

// word adds a text even if there is none.
func (cs *columns) word(v string) *columns {
	v = legible(v)
	c := cs.take()
	c.b = append(binary.BigEndian.AppendUint32(c.b, uint32(len(v))), v...)
	return cs
}

var errArray = errors.New("the server's answer is not the array that was asked for")

// parseInts reads an array of numbers without NULLs, of 4 or 8 bytes each.
func parseInts(to []int64, b []byte) ([]int64, error) {
	if len(b) < 12 {
		return to, errArray
	}
	if binary.BigEndian.Uint32(b) == 0 {
		return to, nil // no dimensions: empty
	}
	if len(b) < headLen {
		return to, errArray
	}
	n := binary.BigEndian.Uint32(b[12:])
	for b = b[headLen:]; n > 0; n-- {
		switch {
		case len(b) >= 12 && b[3] == 8:
			to, b = append(to, int64(binary.BigEndian.Uint64(b[4:]))), b[12:]
		case len(b) >= 8 && b[3] == 4:
			to, b = append(to, int64(int32(binary.BigEndian.Uint32(b[4:])))), b[8:]
		default:
			return to, errArray
		}
	}
	return to, nil
}
