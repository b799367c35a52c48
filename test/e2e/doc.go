// Package e2e starts the gateway's binary as an operator does and looks at it
// from outside: what senders are answered, what destinations are sent, what the
// API tells.
package e2e
