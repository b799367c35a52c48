package pgcluster

import (
	"fmt"
	"strings"
)

// Exec runs SQL in a database and returns what it prints: one row a line, the
// columns with | between them.
func (c *Cluster) Exec(database, sql string) (string, error) {
	return c.programs.output("psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only",
		"--set", "ON_ERROR_STOP=1", "--dbname", c.URL(database), "--command", sql)
}

// CreateDatabase makes a database, as a copy of another where one is named:
// the cheapest way to one with a schema, while nobody is connected to that.
func (c *Cluster) CreateDatabase(name, template string) error {
	if template == "" {
		template = "template0"
	}
	_, err := c.Exec("postgres", fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", quote(name), quote(template)))
	return err
}

// DropDatabase removes one, whoever is connected to it.
func (c *Cluster) DropDatabase(name string) error {
	_, err := c.Exec("postgres", "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)")
	return err
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// Run runs a program of PostgreSQL, such as pg_dump, in the cluster's directory,
// and returns what it prints.
func (c *Cluster) Run(name string, args ...string) (string, error) {
	return c.programs.outputIn(c.dir, name, args...)
}
