package faultproxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/test/pgcluster"
)

func TestMain(m *testing.M) { os.Exit(pgcluster.Main(m)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// through opens a proxy to a server that says everything back, and a
// connection through it.
func through(t *testing.T) (*Proxy, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	p, err := New(ln.Addr().String(), 1)
	must(t, err)
	t.Cleanup(p.Close)
	return p, dial(t, p)
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	must(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	return c
}

// echo sends a word and waits for it.
func echo(t *testing.T, c net.Conn, word string) time.Duration {
	t.Helper()
	began := time.Now()
	_, err := io.WriteString(c, word)
	must(t, err)
	got := make([]byte, len(word))
	_, err = io.ReadFull(c, got)
	must(t, err)
	if string(got) != word {
		t.Fatalf("sent %q, got %q", word, got)
	}
	return time.Since(began)
}

func TestFairWeatherPassesEverythingOn(t *testing.T) {
	_, c := through(t)
	echo(t, c, strings.Repeat("all of it ", 100_000))
	must(t, c.(*net.TCPConn).CloseWrite())
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		t.Errorf("after the end: %q, %v", rest, err)
	}
}

func TestLatencyIsAddedBothWays(t *testing.T) {
	p, c := through(t)
	p.Set(Weather{Latency: 50 * time.Millisecond, Jitter: 20 * time.Millisecond})
	for range 5 {
		if took := echo(t, c, "word"); took < 60*time.Millisecond {
			t.Errorf("there and back took %s", took)
		}
	}
	p.Set(Weather{})
	echo(t, c, "word")
}

func TestDarknessHoldsWhatIsUnderWay(t *testing.T) {
	p, c := through(t)
	echo(t, c, "before")
	p.Set(Weather{Dark: true})
	_, err := io.WriteString(c, "during")
	must(t, err)
	late := dial(t, p) // the kernel says yes, and nobody answers
	_, err = io.WriteString(late, "late")
	must(t, err)
	must(t, c.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("in the dark came %d bytes, %v", n, err)
	}
	p.Set(Weather{})
	for conn, want := range map[net.Conn]string{c: "during", late: "late"} {
		must(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
		got := make([]byte, len(want))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
			t.Errorf("afterwards came %q, %v, want %q", got, err, want)
		}
	}
}

func TestResetsEndConnections(t *testing.T) {
	p, c := through(t)
	p.Set(Weather{Reset: 1})
	io.WriteString(c, "word")
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v", err)
	}
	if p.Resets() != 1 {
		t.Errorf("%d resets counted", p.Resets())
	}
	p.Set(Weather{})
	echo(t, dial(t, p), "again")
}

// The transaction whose reply is lost has been committed, and its client does
// not know.
func TestLostReplyLeavesTheCommit(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	config, err := pgx.ParseConfig(pgcluster.Shared(t))
	must(t, err)
	direct, err := pgx.ConnectConfig(ctx, config)
	must(t, err)
	defer direct.Close(ctx)
	_, err = direct.Exec(ctx, "CREATE TABLE fact (n int)")
	must(t, err)

	p, err := New(net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))), 1)
	must(t, err)
	defer p.Close()
	p.LoseReply(func(sql []string) bool {
		return slices.ContainsFunc(sql, func(s string) bool { return strings.HasPrefix(s, "INSERT INTO fact") })
	})
	by := config.Copy()
	by.Host, by.Port = split(t, p.Addr)
	for n, insert := range []func(c *pgx.Conn) error{
		func(c *pgx.Conn) error { _, err := c.Exec(ctx, "INSERT INTO fact VALUES (0)"); return err }, // simple
		func(c *pgx.Conn) error { _, err := c.Exec(ctx, "INSERT INTO fact VALUES ($1)", 1); return err },
		func(c *pgx.Conn) error {
			b := &pgx.Batch{}
			b.Queue("SELECT $1::int", 1)
			b.Queue("INSERT INTO fact VALUES ($1)", 2)
			return c.SendBatch(ctx, b).Close()
		},
	} {
		c, err := pgx.ConnectConfig(ctx, by)
		must(t, err)
		var one int
		must(t, c.QueryRow(ctx, "SELECT $1::int", 1).Scan(&one))
		if err := insert(c); err == nil {
			t.Errorf("insert %d: the reply came through", n)
		}
		c.Close(ctx)
		var rows int
		must(t, direct.QueryRow(ctx, "SELECT count(*) FROM fact").Scan(&rows))
		if rows != n+1 || p.Lost() != n+1 {
			t.Errorf("insert %d: %d rows, %d replies lost", n, rows, p.Lost())
		}
	}
}

func split(t *testing.T, addr string) (host string, port uint16) {
	t.Helper()
	host, text, err := net.SplitHostPort(addr)
	must(t, err)
	n, err := strconv.ParseUint(text, 10, 16)
	must(t, err)
	return host, uint16(n)
}
