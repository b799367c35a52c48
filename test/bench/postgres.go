package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/test/pgcluster"
)

// postgres is the benchmark's own database server, on the same disk as the
// other stores. It syncs every commit, as it does unless told otherwise.
type postgres struct {
	*pgcluster.Cluster
	made int
}

// settings are what docs/scale.md recommends for a machine of this size.
// pg_stat_statements is loaded and counts nothing until a database says so.
var settings = map[string]string{
	"shared_buffers":              "1GB",
	"max_wal_size":                "4GB",
	"min_wal_size":                "2GB",
	"wal_buffers":                 "16MB",
	"wal_compression":             "lz4",
	"checkpoint_timeout":          "15min",
	"fsync":                       "on",
	"synchronous_commit":          "on",
	"wal_level":                   "replica",
	"wal_keep_size":               "0",
	"autovacuum_naptime":          "10s",
	"shared_preload_libraries":    "pg_stat_statements",
	"pg_stat_statements.track":    "none",
	"pg_stat_statements.save":     "off",
	"log_autovacuum_min_duration": "-1",
}

func newPostgres(dir string) (*postgres, error) {
	progress("starting PostgreSQL")
	c, err := pgcluster.New(pgcluster.Options{Dir: dir, Settings: settings})
	if err != nil {
		return nil, err
	}
	p := &postgres{Cluster: c}
	_, err = p.Exec("postgres", useLog)
	return p, errors.Join(err, p.recycle())
}

// useLog writes through as much of the log as the server keeps. One that has been in
// use goes round in segments that are there already. A new one fills each of them with
// zeros first, while all commits wait, 10 to 30 ms for each 16 MB: at a steady load
// that alone would be the slowest hundredth.
const useLog = `DO $$ BEGIN
	FOR i IN 1..(SELECT setting::int / 16 FROM pg_settings WHERE name = 'min_wal_size') LOOP
		PERFORM pg_logical_emit_message(false, 'bench', ''), pg_switch_wal();
	END LOOP;
END $$`

// recycle has the log that was written be used again.
func (p *postgres) recycle() error {
	_, err := p.Exec("postgres", "CHECKPOINT")
	return err
}

// database makes an empty one and returns its name.
func (p *postgres) database() (name string, err error) {
	p.made++
	name = fmt.Sprintf("bench_%d", p.made)
	if err := p.CreateDatabase(name, ""); err != nil {
		return "", err
	}
	return name, p.recycle()
}

func (p *postgres) cpu() (sum time.Duration, err error) {
	for _, pid := range p.Processes() {
		used, err := cpu(pid)
		if gone(err) { // its time is now its parent's
			continue
		}
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

func gone(err error) bool {
	return errors.Is(err, os.ErrNotExist) || err != nil && strings.Contains(err.Error(), "no such process")
}

// numbers runs a query that gives one row and returns its columns by name.
func (p *postgres) numbers(database string, columns []string, from string) (map[string]float64, error) {
	out, err := p.Exec(database, "SELECT "+strings.Join(columns, ", ")+" FROM "+from)
	if err != nil {
		return nil, err
	}
	fields := strings.Split(strings.TrimSpace(out), "|")
	if len(fields) != len(columns) {
		return nil, fmt.Errorf("%d columns asked of %s, got %q", len(columns), from, out)
	}
	m := map[string]float64{}
	for i, c := range columns {
		if _, name, ok := strings.Cut(c, " AS "); ok {
			c = name
		}
		if fields[i] == "" {
			continue
		}
		if m[c], err = strconv.ParseFloat(fields[i], 64); err != nil {
			return nil, fmt.Errorf("%s: %w", c, err)
		}
	}
	return m, nil
}
