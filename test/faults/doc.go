// Package faults holds the rows of the fault matrix that concern one gateway on
// SQLite; docs/faults.md lists them. Each runs the real binary, injects one kind
// of fault, and judges by what the senders and the destination saw.
//
//	go test ./test/faults                              a fraction of each row
//	go test ./test/faults -timeout 2h -faults.full     all of it
//	go test ./test/faults -run TestG1_PowerLoss -v     one row
//
// -faults.seed repeats a run, as far as a run of a real process can be repeated.
package faults
