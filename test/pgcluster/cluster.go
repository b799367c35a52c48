// Package pgcluster runs throw-away PostgreSQL servers for tests: a data
// directory, a port and a socket of their own, never those of a server that is
// already there. A test may kill one, restart it, give it a standby and promote
// that.
//
// The programs are those of $SEAWALL_TEST_PG_BIN, else the newest of
// /usr/lib/postgresql/*/bin, else those in the PATH. They refuse to run as root
// and then run as the user postgres.
package pgcluster

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/load"
)

// patience bounds each step: to start, to stop, to copy a standby.
const patience = 60 * time.Second

// Options say how a cluster differs from the usual.
type Options struct {
	// NoSync turns fsync off, for tests that need nothing to be durable.
	NoSync bool

	// InMemory keeps the data in memory where the machine has a file system for
	// that. The server does all that it does on a disk, many times as fast.
	InMemory bool

	// Dir is where its directory is made, which the user postgres must be able to
	// enter; "": the system's directory for temporary files.
	Dir string

	// Settings are further lines of postgresql.conf.
	Settings map[string]string

	// Access are lines of pg_hba.conf before the one that trusts everybody.
	Access []string
}

// settings are small enough for many clusters on one machine. Room for many
// connections is left: a few nodes, and the test itself.
var settings = map[string]string{
	"listen_addresses": "127.0.0.1",
	"max_connections":  "100",
	"shared_buffers":   "128MB",
	"max_wal_size":     "1GB",
	"wal_level":        "replica",
	"max_wal_senders":  "4",
	"wal_keep_size":    "256MB", // a standby may fall that far behind without a slot
	"jit":              "off",
	"log_line_prefix":  "%m [%p] %a ",
	"log_checkpoints":  "off",
	"timezone":         "UTC",
	"log_timezone":     "UTC",
}

// Cluster is one server with its data. Its methods are for one goroutine at a
// time, URL and Addr for any.
type Cluster struct {
	programs programs
	dir      string // the socket, the log, and the data in data/
	addr     string // host:port
	given    string // URL of a server that is not ours, and all that is known of it

	mu     sync.Mutex
	server *server // nil while it does not run
}

// New makes a cluster and starts it. Close ends it and removes its data.
func New(o Options) (*Cluster, error) {
	c, err := empty(o)
	if err != nil {
		return nil, err
	}
	if err := c.init(o); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Start makes a cluster that lives as long as the test.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// empty makes the directory of a cluster.
func empty(o Options) (*Cluster, error) {
	p, err := findPrograms()
	if err != nil {
		return nil, err
	}
	dir, err := newDir(p.owner, o)
	if err != nil {
		return nil, err
	}
	c := &Cluster{programs: p, dir: dir}
	c.addr, err = load.FreeAddr()
	return c, err
}

func (c *Cluster) init(o Options) error {
	err := c.programs.run("initdb", "--pgdata", c.data(), "--username", user, "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	if err != nil {
		return err
	}
	if err := c.configure(settings, o.Settings, map[string]string{"fsync": onOff(!o.NoSync)}, c.place()); err != nil {
		return err
	}
	if err := c.admit(o.Access); err != nil {
		return err
	}
	return c.Start()
}

// admit puts lines before those of pg_hba.conf: the first that fits counts.
func (c *Cluster) admit(lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	path := filepath.Join(c.data(), "pg_hba.conf")
	rest, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append([]byte(strings.Join(lines, "\n")+"\n"), rest...), 0o600)
}

// place is where this cluster, and no copy of it, is to be found.
func (c *Cluster) place() map[string]string {
	_, port, _ := net.SplitHostPort(c.addr)
	return map[string]string{"port": port, "unix_socket_directories": c.dir}
}

// configure appends settings; of several lines the last one counts.
func (c *Cluster) configure(groups ...map[string]string) error {
	f, err := os.OpenFile(filepath.Join(c.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for _, group := range groups {
		for name, value := range group {
			fmt.Fprintf(f, "%s = '%s'\n", name, strings.ReplaceAll(value, "'", "''"))
		}
	}
	return f.Close()
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// Addr is where it listens, as host:port.
func (c *Cluster) Addr() string { return c.addr }

// URL is the connection string of a database, as its superuser.
func (c *Cluster) URL(database string) string {
	if u, err := url.Parse(c.given); c.given != "" && err == nil {
		u.Path = "/" + database
		return u.String()
	}
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", user, c.addr, database)
}

// Log is the end of what the server has logged.
func (c *Cluster) Log() string {
	text, err := os.ReadFile(c.log())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

func (c *Cluster) log() string { return filepath.Join(c.dir, "log") }

// Close stops the server and removes its data.
func (c *Cluster) Close() error {
	if c.given != "" {
		return nil
	}
	err := c.Kill()
	return errors.Join(err, os.RemoveAll(c.dir))
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// Dir is its directory, which is also its user's to write in.
func (c *Cluster) Dir() string { return c.dir }
