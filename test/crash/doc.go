// Package crash kills a gateway under load, again and again, and checks what
// it promised: against the sender's own log of what was acknowledged and the
// destination's own log of what arrived, never against the gateway's tables.
//
//	go test ./test/crash                      five kills
//	go test ./test/crash -crash.kills 300     as long as the fault matrix asks
package crash
