package postgres

import (
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

// member is a delivery of a line as the hot table has it.
type member struct {
	order.Member
	line   int64
	part   int32
	queue  int32
	flags  int16
	round  int32
	fresh  bool // it was never replayed
	onWait seawall.WaitPolicy
	entity string // of one that has ended
}

func byKey(ms []member) map[int64]member {
	out := make(map[int64]member, len(ms))
	for _, m := range ms {
		out[m.Key] = m
	}
	return out
}

// turns tells whether it waits for its turn.
func (m *member) turns() bool {
	return m.State == seawall.Held && (m.Reason == seawall.ReasonEarlier || m.Reason == seawall.ReasonSettle)
}

// members collects rows of the memberColumns.
func members(to *[]member) func(pgx.Rows) error { return membersWith(to, false) }

func membersWith(to *[]member, entity bool) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		for rows.Next() {
			var m member
			var event [16]byte
			var state, flags int16
			var awaits string
			into := []any{&m.line, &m.Key, &event, &m.part, &m.queue, &state, &m.Reason, &m.Due, &flags, &m.Rank, &awaits, &m.round, &m.fresh, &m.Version}
			if entity {
				into = append(into, &m.entity)
			}
			if err := rows.Scan(into...); err != nil {
				return err
			}
			m.Delivery, m.State = seawall.EventID(event).Delivery(keyN(m.Key)), seawall.State(state)
			m.set(flags)
			m.After = patterns(awaits)
			*to = append(*to, m)
		}
		return rows.Err()
	}
}

// set reads the flags of its row.
func (m *member) set(flags int16) {
	m.flags = flags
	var d seawall.Delivery
	pack.SetOrder(&d, int64(flags))
	m.Order, m.OnLate, m.Late, m.Tied, m.onWait = d.Order, d.OnLate, d.Late, d.Tied, d.OnWait
}

// patterns are those that a delivery comes after, as a row has them.
func patterns(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}
