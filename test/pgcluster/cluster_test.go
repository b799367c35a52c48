package pgcluster

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asChild has this test binary start a cluster and wait to be killed.
const asChild = "SEAWALL_TEST_PG_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		c, err := New(Options{InMemory: true})
		if err != nil {
			os.Stdout.WriteString("error: " + err.Error() + "\n")
			os.Exit(1)
		}
		os.Stdout.WriteString(c.dir + "\n")
		select {}
	}
	os.Exit(Main(m))
}

func query(t *testing.T, c *Cluster, database, sql string) string {
	t.Helper()
	out, err := c.Exec(database, sql)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What was committed survives every way to end a server, and nothing of the
// server survives its end.
func TestServerComesBackWithItsData(t *testing.T) {
	c := Start(t, Options{Settings: map[string]string{"max_connections": "37"}})
	if got := query(t, c, "postgres", "SHOW fsync") + query(t, c, "postgres", "SHOW max_connections"); got != "on37" {
		t.Errorf("fsync and max_connections are %q", got)
	}
	query(t, c, "postgres", "CREATE TABLE kept (n int)")
	for name, end := range map[string]func() error{
		"kill":      c.Kill,
		"fast":      func() error { return c.Stop(Fast) },
		"immediate": func() error { return c.Stop(Immediate) },
	} {
		before := query(t, c, "postgres", "SELECT count(*) FROM kept")
		query(t, c, "postgres", "INSERT INTO kept VALUES (1)")
		must(t, end())
		if left := processesIn(c.data()); len(left) > 0 {
			t.Errorf("%s: processes %v are left", name, left)
		}
		if _, err := c.Exec("postgres", "SELECT 1"); err == nil {
			t.Errorf("%s: the server still answers", name)
		}
		must(t, c.Start())
		if after := query(t, c, "postgres", "SELECT count(*) FROM kept"); len(after) != 1 || after[0] != before[0]+1 {
			t.Errorf("%s: %s rows before, %s after", name, before, after)
		}
	}
}

func TestEveryTestHasADatabaseOfItsOwn(t *testing.T) {
	calls := 0
	prepare := func(ctx context.Context, url string) error {
		calls++
		c, err := shared()
		if err != nil {
			return err
		}
		_, err = c.Exec(url[strings.LastIndex(url, "/")+1:strings.LastIndex(url, "?")], "CREATE TABLE made (n int)")
		return err
	}
	a, b := SharedCopy(t, "made", prepare), SharedCopy(t, "made", prepare)
	if empty := Shared(t); a == b || a == empty || calls != 1 {
		t.Errorf("got %s, %s and %s by %d preparations", a, b, empty, calls)
	}
	c, err := shared()
	must(t, err)
	for _, url := range []string{a, b} {
		name := url[strings.LastIndex(url, "/")+1 : strings.LastIndex(url, "?")]
		if got := query(t, c, name, "SELECT count(*) FROM made"); got != "0" {
			t.Errorf("%s has %s rows in the table", name, got)
		}
	}
}

// A commit that was acknowledged is on the standby, which takes over; the old
// primary returns as the standby of the new one.
func TestStandbyTakesOverAndTheOldPrimaryReturns(t *testing.T) {
	a := Start(t, Options{})
	query(t, a, "postgres", "CREATE TABLE kept (n int)")
	b, err := a.Standby()
	must(t, err)
	t.Cleanup(func() { must(t, b.Close()) })

	query(t, a, "postgres", "INSERT INTO kept VALUES (1)")
	must(t, a.Kill())
	if _, err := b.Exec("postgres", "INSERT INTO kept VALUES (2)"); err == nil {
		t.Fatal("a standby took a write")
	}
	must(t, b.Promote())
	must(t, a.Rejoin(b))
	query(t, b, "postgres", "INSERT INTO kept VALUES (3)")
	must(t, b.Kill())
	must(t, a.Promote())
	must(t, a.Alone())
	if got := query(t, a, "postgres", "SELECT string_agg(n::text, ' ' ORDER BY n) FROM kept"); got != "1 3" {
		t.Errorf("after two failovers there is %q, want 1 3", got)
	}
}

// Killed as hard as can be, a test leaves no server behind, and the next one
// removes its data.
func TestClusterDiesWithItsTest(t *testing.T) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), asChild+"=yes")
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	dir := strings.TrimSpace(line)
	data := filepath.Join(dir, "data")
	if len(processesIn(data)) == 0 {
		t.Fatalf("no server runs in %s", data)
	}
	must(t, child.Process.Kill())
	child.Wait()
	must(t, await(func() (bool, error) { return len(processesIn(data)) == 0, nil }))
	sweep()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}

// Without PostgreSQL a test fails with a hint.
func TestMissingServerIsAnError(t *testing.T) {
	t.Setenv("SEAWALL_TEST_PG_BIN", t.TempDir())
	if _, err := New(Options{}); err == nil || !strings.Contains(err.Error(), "SEAWALL_TEST_PG_BIN") {
		t.Errorf("got %v", err)
	}
}
