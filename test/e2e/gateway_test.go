package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/pgcluster"
)

// patience is how long a test waits for what it knows must come.
const patience = 30 * time.Second

var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "seawall-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)

	// Always what is in the tree; under the race detector, it watches the
	// gateway too.
	binary = filepath.Join(dir, "seawall")
	args := []string{"build", "-o", binary}
	if race {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "../../cmd/seawall")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return pgcluster.Main(m)
}

// gateway is a running "seawall serve". Its folder and addresses stay the same
// when it is started again.
type gateway struct {
	t      *testing.T
	dir    string
	file   string
	public string
	admin  string
	env    []string

	cmd    *exec.Cmd
	exited chan error
	output *buffer
}

// newGateway writes a configuration into a folder of its own. Where it listens
// and stores comes from the environment, so the text is as an operator has it.
func newGateway(t *testing.T, text string, env ...string) *gateway {
	t.Helper()
	dir := t.TempDir()
	g := &gateway{t: t, dir: dir, file: filepath.Join(dir, "seawall.yaml"), output: new(buffer)}
	public, admin := freeAddress(t), freeAddress(t)
	g.public, g.admin = "http://"+public, "http://"+admin
	g.env = append([]string{
		"PATH=" + os.Getenv("PATH"),
		"SEAWALL_LISTEN=" + public,
		"SEAWALL_ADMIN_LISTEN=" + admin,
		"SEAWALL_STORE=sqlite:" + filepath.Join(dir, "seawall.db"),
	}, env...)
	g.write(text)
	t.Cleanup(func() {
		if g.cmd != nil {
			_ = g.cmd.Process.Kill()
			<-g.exited
		}
		out := g.output.String()
		if strings.Contains(out, "DATA RACE") {
			t.Errorf("the race detector spoke in the gateway")
		}
		if t.Failed() {
			t.Logf("the gateway wrote:\n%s", out)
		}
	})
	return g
}

func (g *gateway) write(text string) {
	g.t.Helper()
	if err := os.WriteFile(g.file, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) start() {
	g.t.Helper()
	g.cmd = exec.Command(binary, "serve", "--config", g.file)
	g.cmd.Dir, g.cmd.Env = g.dir, g.env
	g.cmd.Stdout, g.cmd.Stderr = g.output, g.output
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	cmd, exited := g.cmd, make(chan error, 1)
	g.exited = exited
	go func() { exited <- cmd.Wait() }()

	g.until("be ready", func() bool {
		select {
		case err := <-exited:
			exited <- err
			g.t.Fatalf("the gateway ended: %v", err)
		default:
		}
		res, err := http.Get(g.admin + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

func (g *gateway) signal(s os.Signal) {
	g.t.Helper()
	if err := g.cmd.Process.Signal(s); err != nil {
		g.t.Fatal(err)
	}
}

// stop ends the gateway as systemd does, and expects it to end well.
func (g *gateway) stop() {
	g.t.Helper()
	g.signal(syscall.SIGTERM)
	select {
	case err := <-g.exited:
		if err != nil {
			g.t.Errorf("exit after SIGTERM: %v", err)
		}
	case <-time.After(patience):
		g.t.Fatal("does not stop")
	}
	g.cmd = nil
}

// kill ends it as a power cut does.
func (g *gateway) kill() {
	g.t.Helper()
	g.signal(syscall.SIGKILL)
	var exit *exec.ExitError
	if err := <-g.exited; !errors.As(err, &exit) {
		g.t.Fatalf("exit after SIGKILL: %v", err)
	}
	g.cmd = nil
}

// post sends a request to a source and returns the answer's status and body.
func (g *gateway) post(source string, header http.Header, body []byte) (int, string) {
	g.t.Helper()
	return g.call("POST", g.public+"/in/"+source, header, body)
}

func (g *gateway) call(method, url string, header http.Header, body []byte) (int, string) {
	g.t.Helper()
	status, text, err := try(g.t.Context(), method, url, header, body)
	if err != nil {
		g.t.Fatal(err)
	}
	return status, text
}

// try is call for any goroutine.
func try(ctx context.Context, method, url string, header http.Header, body []byte) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header = header.Clone()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

// row is one line of a list, or one thing, as the API tells it.
type row = map[string]any

// list reads the first page of a list.
func (g *gateway) list(path string) []row {
	g.t.Helper()
	var page struct{ Data []row }
	g.get(path, &page)
	return page.Data
}

func (g *gateway) get(path string, out any) {
	g.t.Helper()
	status, text := g.call("GET", g.admin+"/api/v1"+path, nil, nil)
	if status != http.StatusOK {
		g.t.Fatalf("GET %s: %d %s", path, status, text)
	}
	if err := json.Unmarshal([]byte(text), out); err != nil {
		g.t.Fatalf("GET %s: %v", path, err)
	}
}

// order posts to the API and expects it to be carried out.
func (g *gateway) order(path string, in any) row {
	g.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		g.t.Fatal(err)
	}
	status, text := g.call("POST", g.admin+"/api/v1"+path, http.Header{"Content-Type": {"application/json"}}, body)
	if status >= 300 {
		g.t.Fatalf("POST %s: %d %s", path, status, text)
	}
	var out row
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		g.t.Fatalf("POST %s: %v in %s", path, err, text)
	}
	return out
}

// until polls for what has no other sign.
func (g *gateway) until(what string, ok func() bool) {
	g.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			g.t.Fatalf("does not %s", what)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// buffer collects what a process writes.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
