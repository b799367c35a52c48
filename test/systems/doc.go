// Package systems holds the rows of the fault matrix that concern what everything
// sent to one system shares: calls that are interrupted, limits, breakers, and what
// a system asks for. Each runs the real binary, alone on SQLite or twice on one
// PostgreSQL, and judges by what the system saw; docs/faults.md lists them.
//
//	go test ./test/systems                              a fraction of each row
//	go test ./test/systems -timeout 1h -faults.full     all of it
//	go test ./test/systems -run TestG6_Killed -v        one row
package systems
