package pgcluster

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Standby copies a running cluster and starts the copy as its synchronous
// standby: from then on no commit is acknowledged that the standby does not
// have. The copy inherits that: once promoted it commits nothing before it has
// a standby itself, unless it is told Alone.
func (c *Cluster) Standby() (*Cluster, error) {
	s, err := empty(Options{})
	if err != nil {
		return nil, err
	}
	if err := s.follow(c); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Rejoin throws the cluster's data away and makes it the synchronous standby of
// another: how an old primary returns.
func (c *Cluster) Rejoin(primary *Cluster) error {
	if err := c.Kill(); err != nil {
		return err
	}
	if err := os.RemoveAll(c.data()); err != nil {
		return err
	}
	return c.follow(primary)
}

func (c *Cluster) follow(primary *Cluster) error {
	err := c.programs.run("pg_basebackup", "--pgdata", c.data(), "--write-recovery-conf", "--wal-method", "stream",
		"--checkpoint", "fast", "--no-sync", "--dbname", primary.URL("postgres"))
	if err != nil {
		return err
	}
	if err := c.configure(c.place()); err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	if err := primary.synchronous("*"); err != nil {
		return err
	}
	return primary.awaitStandby()
}

// Alone lets a cluster commit without a standby.
func (c *Cluster) Alone() error { return c.synchronous("") }

func (c *Cluster) synchronous(names string) error {
	for _, sql := range []string{
		fmt.Sprintf("ALTER SYSTEM SET synchronous_standby_names = '%s'", names),
		"SELECT pg_reload_conf()",
	} {
		if _, err := c.Exec("postgres", sql); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) awaitStandby() error {
	err := await(func() (bool, error) {
		n, err := c.Exec("postgres", "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'sync'")
		return n == "1", err
	})
	if err != nil {
		return fmt.Errorf("await the standby: %w: %s", err, c.Log())
	}
	return nil
}

// Promote makes a standby the primary and waits until it takes writes.
func (c *Cluster) Promote() error {
	_, err := c.Exec("postgres", fmt.Sprintf("SELECT pg_promote(true, %d)", int(patience.Seconds())))
	if err != nil {
		return err
	}
	return await(func() (bool, error) {
		_, err := os.Stat(filepath.Join(c.data(), "standby.signal"))
		return errors.Is(err, os.ErrNotExist), nil
	})
}

// URLOf is the connection string of a database on whichever of the clusters is
// the primary.
func URLOf(database string, cs ...*Cluster) string {
	addrs := make([]string, len(cs))
	for i, c := range cs {
		addrs[i] = c.addr
	}
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable&target_session_attrs=read-write",
		user, strings.Join(addrs, ","), url.PathEscape(database))
}
