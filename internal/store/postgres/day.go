package postgres

import "context"

// addDays makes the tables of the days to come.
func (s *Store) addDays(context.Context) error { return nil }
