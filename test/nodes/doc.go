// Package nodes holds the rows of the fault matrix that concern several gateways
// on one PostgreSQL; docs/faults.md lists them. Each runs the real binary more
// than once, injects one kind of fault, and judges by what the senders and the
// destination saw.
//
//	go test ./test/nodes                              a fraction of each row
//	go test ./test/nodes -timeout 3h -faults.full     all of it
//	go test ./test/nodes -run TestG4_PausedNode -v    one row
//
// -faults.seed repeats a run, as far as a run of real processes can be repeated.
package nodes
