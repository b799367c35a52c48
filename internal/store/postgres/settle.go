package postgres

import "context"

// settleCall is one call of Settle.
type settleCall struct{}

func (s *Store) flushSettles(_ context.Context, calls []*settleCall) []error {
	return make([]error, len(calls))
}
