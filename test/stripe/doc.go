// Package stripe proves what calls promise (G6) with the official SDK of Stripe
// as the client and the official mock of its API behind: a module of its own,
// so that neither is among the gateway's dependencies.
package stripe
