package postgres

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/test/pgcluster"
)

// What is written as columns is what the server reads.
func TestColumnsAreReadAsWritten(t *testing.T) {
	c, err := pgx.Connect(t.Context(), pgcluster.Shared(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	types := []uint32{oidInt2, oidInt4, oidInt8, oidText, oidBytes, oidUUID, oidTime}
	at := time.Date(1999, 12, 31, 23, 59, 59, 123456000, time.UTC)
	var cs columns
	for range 2 { // the second time with memory that was used
		cs.reset(len(types))
		cs.row(0).int2(-1).int4(-2).int8(-3).text("é\x00\xff").blob([]byte{0, 255}).uuid([16]byte{1, 15: 2}).time(at)
		cs.row(0).null().null().null().text("").blob(nil).uuid([16]byte{}).time(time.Time{})
		cs.row(0).int2(7).int4(1 << 30).int8(1 << 60).word("").blob([]byte("b")).uuid([16]byte{3}).time(at)
	}
	values, formats := cs.finish(types)
	oids := make([]uint32, len(types))
	for i, typ := range types {
		oids[i] = arrayOf[typ]
	}
	r := c.PgConn().ExecParams(t.Context(), `SELECT r::text FROM unnest($1, $2, $3, $4, $5, $6, $7) r`, values, oids, formats, nil).Read()
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	var got []string
	for _, row := range r.Rows {
		got = append(got, string(row[0]))
	}
	want := []string{
		`(-1,-2,-3,é` + "\uFFFD\uFFFD" + `,"\\x00ff",01000000-0000-0000-0000-000000000002,"1999-12-31 23:59:59.123456+00")`,
		`(,,,,,,)`,
		`(7,1073741824,1152921504606846976,"","\\x62",03000000-0000-0000-0000-000000000000,"1999-12-31 23:59:59.123456+00")`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestIntsAreReadAsSent(t *testing.T) {
	c, err := pgx.Connect(t.Context(), pgcluster.Shared(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	for sql, want := range map[string][]int64{
		"SELECT ARRAY[1, -2]::int8[]": {1, -2}, "SELECT ARRAY[1, -2]::int4[]": {1, -2}, "SELECT '{}'::int8[]": nil,
	} {
		r := c.PgConn().ExecParams(t.Context(), sql, nil, nil, nil, binaryFormat).Read()
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		if got, err := parseInts(nil, r.Rows[0][0]); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", sql, got, err)
		}
	}
	r := c.PgConn().ExecParams(t.Context(), "SELECT ARRAY[1, NULL]::int8[]", nil, nil, nil, binaryFormat).Read()
	for n := range r.Rows[0][0] {
		if _, err := parseInts(nil, r.Rows[0][0][:n]); err == nil {
			t.Errorf("the first %d bytes of an array are read as one", n)
		}
	}
}
