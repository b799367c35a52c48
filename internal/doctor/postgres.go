package doctor

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/store/postgres"
)

const (
	// oldTransaction is from when on a transaction hurts: what was deleted since
	// it began cannot be cleaned up, and claims get slower.
	oldTransaction = 10 * time.Minute

	heldLog = 8 << 30 // bytes that a forgotten replication slot may hold back

	// nodeConnections is how many connections a node uses at most.
	nodeConnections = 11

	clockWarn, clockFail = time.Second, time.Minute
)

// postgres looks at the server.
func (e *examination) postgres(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	f, err := postgres.Inspect(ctx, string(e.Node.Store))
	if err != nil {
		e.failed("server", err)
		return
	}
	e.server(f)
	e.settings(f)
	e.clock(f)
	e.connections(f)
	e.cleaning(f)
	if len(f.Missing) > 0 {
		e.fail("role", "grant it what docs/postgres.md lists", "the role lacks %s", strings.Join(f.Missing, ", "))
	}
	if f.Unheld > 0 {
		e.warn("lanes", "is a gateway running? a lane is taken over within 20 s", "%d of %d lanes have something due and no node", f.Unheld, f.Lanes)
	} else if f.Lanes > 0 {
		e.ok("lanes", "%d, none with something due and no node", f.Lanes)
	}
	if len(f.Nodes) > 0 {
		e.ok("nodes", "%d: %s", len(f.Nodes), strings.Join(f.Nodes, ", "))
	} else {
		e.warn("nodes", "start one: seawall serve", "none is alive")
	}
}

func (e *examination) server(f postgres.Facts) {
	switch major := f.Version / 10000; {
	case major < 14:
		e.fail("server", "upgrade it", "PostgreSQL %d, and 14 is the oldest that will do", major)
	case f.Standby:
		e.fail("server", "let the URL name the primary, or all hosts with target_session_attrs=read-write", "a standby, which takes no writes")
	default:
		e.ok("server", "PostgreSQL %d, the database has %d MiB", major, f.Size/mib)
	}
}

func (e *examination) settings(f postgres.Facts) {
	const check = "settings"
	set, before := f.Settings, true
	bad := func(level Level, name, do string) {
		before = false
		e.found(Finding{check, level, name + " = " + set[name], do})
	}
	if set["fsync"] != "on" {
		bad(Fail, "fsync", "set it to on and restart the server: a power cut would lose acknowledged events")
	}
	if set["synchronous_commit"] == "off" {
		bad(Fail, "synchronous_commit", "set it to on for this role or server: a crash would lose acknowledged events")
	}
	if set["full_page_writes"] != "on" {
		bad(Fail, "full_page_writes", "set it to on, unless the file system never tears a page: a power cut could damage the database")
	}
	if set["autovacuum"] != "on" {
		bad(Fail, "autovacuum", "set it to on: the queue's table would grow without end")
	}
	if before {
		e.ok(check, "fsync, synchronous_commit = %s, full_page_writes, autovacuum", set["synchronous_commit"])
	}
	if set["synchronous_standby_names"] == "" {
		e.ok("standby", "none is synchronous: a failover may lose the last events that were acknowledged (docs/postgres.md)")
	}
}

func (e *examination) clock(f postgres.Facts) {
	const do = "have NTP set both clocks: leases go by the database's, due times and signatures by this machine's"
	ahead := f.Ahead.Abs()
	switch {
	case ahead > clockFail+f.RoundTrip:
		e.fail("clock", do, "%s from the database's", f.Ahead.Round(time.Millisecond))
	case ahead > clockWarn+f.RoundTrip:
		e.warn("clock", do, "%s from the database's", f.Ahead.Round(time.Millisecond))
	default:
		e.ok("clock", "within %s of the database's, which answers in %s", (ahead + f.RoundTrip/2).Round(time.Millisecond), f.RoundTrip.Round(100*time.Microsecond))
	}
}

func (e *examination) connections(f postgres.Facts) {
	most, err := strconv.ParseInt(f.Settings["max_connections"], 10, 64)
	if err != nil {
		return
	}
	reserved, _ := strconv.ParseInt(f.Settings["superuser_reserved_connections"], 10, 64)
	nodes := int64(max(len(f.Nodes), 1))
	if want := (nodes + 1) * nodeConnections; want > most-reserved {
		e.warn("connections", "raise max_connections: a node uses up to "+strconv.Itoa(nodeConnections)+", and one more comes while nodes are replaced",
			"%d allowed, %d nodes and one more may use %d", most-reserved, nodes, want)
		return
	}
	e.ok("connections", "%d of %d", f.Connections, most-reserved)
}

// cleaning looks for what keeps old rows from being cleaned up.
func (e *examination) cleaning(f postgres.Facts) {
	const check = "vacuum"
	well := true
	if f.Oldest > oldTransaction {
		well = false
		e.warn(check, "end it: SELECT pg_terminate_backend(PID); set idle_in_transaction_session_timeout",
			"a transaction has been open for %s (%s), and nothing deleted since can be cleaned up", f.Oldest.Round(time.Second), f.OldestBy)
	}
	if f.Prepared > 0 {
		well = false
		e.warn(check, "look at pg_prepared_xacts: commit or roll back what nobody will", "%d prepared transactions", f.Prepared)
	}
	if f.Slots > heldLog {
		well = false
		e.warn(check, "look at pg_replication_slots, and drop the slot that nobody reads", "a replication slot holds back %d MiB of the log", f.Slots/mib)
	}
	if well {
		e.ok(check, "no old transaction, none prepared, no slot far behind")
	}
}
