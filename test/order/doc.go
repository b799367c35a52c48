// Package order holds row 11 of the fault matrix: every arrival of six versions of
// an entity, with duplicates, failures of the destination and kills of the gateway,
// ends in one state, and inverts nothing. It runs the real binary, alone on SQLite or
// twice on one PostgreSQL, and judges by what the destination took; docs/faults.md
// lists it.
//
//	go test ./test/order                              a fraction
//	go test ./test/order -timeout 1h -faults.full     all of it
package order
