// Package verify holds the signature schemes that webhooks use, as pure
// functions on raw bytes. Every comparison of secret-dependent bytes takes
// constant time, and is made only after decoding and checking the length.
package verify

import "fmt"

// Reason is a stable code for why a request was not verified. It is shown to
// our own people and counted in metrics; the sender is told less.
type Reason string

const (
	HeaderMissing     Reason = "header_missing"      // no signature was sent
	HeaderMalformed   Reason = "header_malformed"    // a signature that cannot be read
	HeaderRepeated    Reason = "header_repeated"     // the header came twice: which one counts?
	SignatureMismatch Reason = "signature_mismatch"  // wrong secret, changed body or other URL
	TimestampOld      Reason = "timestamp_old"       // signed too long ago
	TimestampFuture   Reason = "timestamp_future"    // signed by a clock ahead of ours
	CredentialWrong   Reason = "credential_mismatch" // token or password is not ours
	SecretExpired     Reason = "secret_expired"      // it was right, but its time is over
	BodyUnreadable    Reason = "body_unreadable"     // the scheme signs decoded values, and the body does not decode
	Unavailable       Reason = "key_unavailable"     // the key to check with cannot be had now: not the sender's fault
)

// Error is a request that was not verified.
type Error struct {
	Reason Reason
	Detail string // plain words for our own people, without secret or expected signature
	Err    error  // the cause; may be nil
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Reason, e.Detail) }
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with a formatted detail.
func Errorf(r Reason, format string, args ...any) *Error {
	return &Error{Reason: r, Detail: fmt.Sprintf(format, args...)}
}
