package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seawall-dev/seawall/test/pgcluster"
)

// patience is how long a story waits for what it knows must come.
const patience = 30 * time.Second

// Each story runs in a folder of its own, with a gateway and destinations of its
// own on free ports. Beside testscript's commands a story has those of stage.
func TestStories(t *testing.T) {
	if os.Getenv(engineVariable) == "postgres" {
		t.Skip(engineVariable + " says postgres")
	}
	stories(t, nil)
}

// The same on PostgreSQL, each in a database of its own there.
func TestStoriesOnPostgreSQL(t *testing.T) {
	if os.Getenv(engineVariable) == "sqlite" {
		t.Skip(engineVariable + " says sqlite")
	}
	stories(t, func(t testing.TB) string { return pgcluster.Shared(t) })
}

// engineVariable names the one engine to play the stories on, instead of both:
// sqlite or postgres.
const engineVariable = "SEAWALL_TEST_STORE"

// stories plays them, each on the store that its file names or, if database is not
// nil, on the one that this makes.
func stories(t *testing.T, database func(t testing.TB) string) {
	testscript.Run(t, testscript.Params{
		Dir: "../../test/scripts",
		Condition: func(cond string) (bool, error) {
			if cond != "postgres" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return database != nil, nil
		},
		Setup: func(e *testscript.Env) error {
			s := &stage{destinations: map[string]*destination{}}
			e.Values[stageKey{}] = s
			e.Defer(s.close)
			if database != nil {
				e.Setenv("SEAWALL_STORE", database(e.T().(testing.TB)))
			}
			for _, name := range []string{"SEAWALL_LISTEN", "SEAWALL_ADMIN_LISTEN", "FREE"} {
				addr, err := freeAddress()
				if err != nil {
					return err
				}
				e.Setenv(name, addr)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"destination": destinationCmd,
			"expand":      expandCmd,
			"fails":       failsCmd,
			"got":         gotCmd,
			"hup":         hupCmd,
			"post":        postCmd,
			"ready":       readyCmd,
			"take":        takeCmd,
			"until":       untilCmd,
		},
		RequireUniqueNames: true,
	})
}

type stageKey struct{}

// stage is what a story plays on.
type stage struct{ destinations map[string]*destination }

func (s *stage) close() {
	for _, d := range s.destinations {
		d.server.Close()
	}
}

// destination takes deliveries, keeps what they were, and answers with status.
type destination struct {
	server *httptest.Server
	mu     sync.Mutex
	status int
	got    []string
	more   chan struct{} // closed and replaced when there is more in got
}

func (d *destination) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s %s\n", r.Method, r.URL.Path)
	names := []string{}
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&text, "%s: %s\n", strings.ToLower(name), strings.Join(r.Header[name], ", "))
	}
	fmt.Fprintf(&text, "\n%s\n", body)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.got = append(d.got, text.String())
	close(d.more)
	d.more = make(chan struct{})
	w.WriteHeader(d.status)
}

// destination NAME [STATUS]: starts a destination, whose URL is then in
// @NAME@; or makes a running one answer with STATUS from now on.
func destinationCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: destination NAME [STATUS]")
	}
	status := http.StatusNoContent
	if len(args) == 2 {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		status = n
	}
	s := ts.Value(stageKey{}).(*stage)
	d := s.destinations[args[0]]
	if d == nil {
		d = &destination{more: make(chan struct{})}
		d.server = httptest.NewServer(d)
		s.destinations[args[0]] = d
		ts.Setenv(args[0], d.server.URL)
	}
	d.mu.Lock()
	d.status = status
	d.mu.Unlock()
}

// got NAME N: waits until a destination has got N requests, and prints the
// N-th; with !, checks that it has not got that many.
func gotCmd(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] got NAME N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	d := ts.Value(stageKey{}).(*stage).destinations[args[0]]
	deadline := time.After(patience)
	for {
		d.mu.Lock()
		got, more := d.got, d.more
		count := len(got)
		d.mu.Unlock()
		if neg && count >= n {
			ts.Fatalf("%s has got %d requests", args[0], count)
		}
		if neg {
			return
		}
		if count >= n {
			fmt.Fprint(ts.Stdout(), got[n-1])
			return
		}
		select {
		case <-more:
		case <-deadline:
			ts.Fatalf("%s has got %d requests, not %d", args[0], count, n)
		}
	}
}

// expand FILE: puts the values of environment variables in the place of @NAME@.
func expandCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expand FILE")
	}
	text := regexp.MustCompile(`@\w+@`).ReplaceAllStringFunc(ts.ReadFile(args[0]), func(name string) string {
		return ts.Getenv(strings.Trim(name, "@"))
	})
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// post PATH FILE [HEADER...]: posts a file to the public listener as anyone
// could, and prints the answer.
func postCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: post PATH FILE [HEADER...]")
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+ts.Getenv("SEAWALL_LISTEN")+args[0], strings.NewReader(ts.ReadFile(args[1])))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	for _, h := range args[2:] {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%s\n%s\n", res.Status, body)
}

// ready: waits until the gateway that serves is ready.
func readyCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: ready")
	}
	poll(ts, "the gateway does not become ready", func() bool {
		res, err := http.Get("http://" + ts.Getenv("SEAWALL_ADMIN_LISTEN") + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// hup: sends SIGHUP to what runs in the background.
func hupCmd(ts *testscript.TestScript, neg bool, args []string) {
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(syscall.SIGHUP))
	}
}

// until REGEXP PROGRAM [ARGS...]: runs a program again and again until its
// standard output matches.
func untilCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until REGEXP PROGRAM [ARGS...]")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	poll(ts, fmt.Sprintf("%s: no match for %s", strings.Join(args[1:], " "), args[0]), func() bool {
		return ts.Exec(args[1], args[2:]...) == nil && want.MatchString(ts.ReadFile("stdout"))
	})
}

// fails REGEXP PROGRAM [ARGS...]: runs a program again and again until it fails
// and its standard error matches.
func failsCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fails REGEXP PROGRAM [ARGS...]")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	poll(ts, strings.Join(args[1:], " ")+" does not fail with "+args[0], func() bool {
		return ts.Exec(args[1], args[2:]...) != nil && want.MatchString(ts.ReadFile("stderr"))
	})
}

// take NAME REGEXP: sets an environment variable to what matches in the last
// standard output.
func takeCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: take NAME REGEXP")
	}
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if found == nil {
		ts.Fatalf("no match for %s in:\n%s", args[1], ts.ReadFile("stdout"))
	}
	ts.Setenv(args[0], found[len(found)-1])
}

func poll(ts *testscript.TestScript, complaint string, done func() bool) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("%s", complaint)
		}
	}
}

// freeAddress is an address that nobody else is given: from below the range that
// systems hand out by themselves, where another test's connection could take it
// before the gateway does.
func freeAddress() (string, error) {
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 15000+rand.IntN(15000))
		if _, taken := given.LoadOrStore(addr, true); taken {
			continue
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		return addr, l.Close()
	}
	return "", errors.New("no free address")
}

var given sync.Map // addresses
