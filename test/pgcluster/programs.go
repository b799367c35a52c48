package pgcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// user is the superuser of every cluster, and on the machine the user that the
// programs run as where the test runs as root.
const user = "postgres"

// ErrNone says that there is no PostgreSQL on this machine.
var ErrNone = errors.New("no PostgreSQL server programs found; hint: install them (Debian: postgresql), " +
	"or say where they are in SEAWALL_TEST_PG_BIN")

// programs are initdb, postgres and the like.
type programs struct {
	bin   string
	owner *syscall.Credential // nil: run as we do
}

func findPrograms() (programs, error) {
	bin, err := findBin()
	if err != nil {
		return programs{}, err
	}
	if os.Geteuid() != 0 {
		return programs{bin: bin}, nil
	}
	u, err := osuser.Lookup(user)
	if err != nil {
		return programs{}, fmt.Errorf("PostgreSQL refuses to run as root: %w; hint: add a user %q or run the tests as another user", err, user)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return programs{}, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return programs{}, err
	}
	return programs{bin, &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

func findBin() (string, error) {
	if dir := os.Getenv("SEAWALL_TEST_PG_BIN"); dir != "" {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
			return "", fmt.Errorf("SEAWALL_TEST_PG_BIN: %w", err)
		}
		return dir, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	newest, best := 0, ""
	for _, f := range found {
		dir := filepath.Dir(f)
		if v, err := strconv.Atoi(filepath.Base(filepath.Dir(dir))); err == nil && v > newest {
			newest, best = v, dir
		}
	}
	if best != "" {
		return best, nil
	}
	if f, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(f), nil
	}
	return "", ErrNone
}

// command prepares a program. It dies with the test, and knows nothing of the
// environment, where PGHOST and its kin would lead it elsewhere.
func (p programs) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, name), args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + p.bin + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=/"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.owner, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// run runs a program to its end.
func (p programs) run(name string, args ...string) error {
	_, err := p.output(name, args...)
	return err
}

func (p programs) output(name string, args ...string) (string, error) {
	return p.outputIn("/", name, args...)
}

func (p programs) outputIn(dir, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := p.command(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimSpace(out.String()), nil
}
