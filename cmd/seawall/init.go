package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/seawall"
)

const firstConfig = `# Checked by "seawall check"; changed while running by "seawall config reload".
store: sqlite:seawall.db
egress: { allow: ["127.0.0.0/8"] } # private addresses are refused unless named

sources: # webhooks come to http://THIS-HOST:8080/in/github
  github: { provider: github, secret: "file:secrets/github" }

destinations: # your program: it verifies one signature, whatever the sender
  app: { url: "http://127.0.0.1:9000/hooks", sign: { secret: "file:secrets/app" } }

routes:
  - { from: github, types: ["*"], to: app }
`

func (c *cli) initCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "init [DIR]", Short: "Write a first seawall.yaml, with secrets beside it", Args: cobra.MaximumNArgs(1),
		Long: `Write a first seawall.yaml: one source, one destination, one route; and beside it
secrets/ with a random secret for each, which only you can read. Nothing that
exists is overwritten.`,
	}
	cmd.RunE = c.does(func(_ context.Context, args []string) error {
		file := c.configPath()
		if len(args) == 1 {
			if c.config != "" {
				return usagef("give either a folder or --config")
			}
			dir = args[0]
			file = filepath.Join(dir, defaultConfig)
		}
		return c.begin(file)
	})
	return cmd
}

// begin writes the files of a new gateway, none of which may exist.
func (c *cli) begin(file string) error {
	dir := filepath.Dir(file)
	files := []struct {
		path string
		text string
		perm fs.FileMode
	}{
		{file, firstConfig, 0o644},
		{filepath.Join(dir, "secrets", "github"), c.hexSecret() + "\n", 0o600},
		{filepath.Join(dir, "secrets", "app"), c.webhookSecret() + "\n", 0o600},
	}
	for _, f := range files {
		if _, err := os.Lstat(f.path); !errors.Is(err, fs.ErrNotExist) {
			return seawall.Errorf(seawall.ErrConflict, "%s exists already, and is left as it is", f.path).
				WithHint("name another folder: seawall init FOLDER")
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		if err := create(f.path, f.text, f.perm); err != nil {
			return err
		}
		c.printf("wrote %s\n", f.path)
	}
	flag := ""
	if file != defaultConfig {
		flag = " --config " + file
	}
	c.printf(`
Next:
  %[3]s check%[1]s            whether the file is valid
  %[3]s serve%[1]s            start the gateway
  %[3]s send github%[1]s      from another terminal: a signed sample
  %[3]s events list%[1]s      and what became of it

At GitHub, the webhook's secret is the one in %[2]s.
`, flag, files[1].path, c.program)
	return nil
}

// create writes a file that must not exist; its folder is made, for the owner
// only where the file is.
func create(path, text string, perm fs.FileMode) error {
	folder := fs.FileMode(0o755)
	if perm&0o077 == 0 {
		folder = 0o700
	}
	if err := os.MkdirAll(filepath.Dir(path), folder); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}

// hexSecret is 256 random bits as a provider's secret.
func (c *cli) hexSecret() string { return hex.EncodeToString(c.bits()) }

// webhookSecret is 256 random bits as Standard Webhooks writes them.
func (c *cli) webhookSecret() string {
	return "whsec_" + base64.StdEncoding.EncodeToString(c.bits())
}

func (c *cli) bits() []byte {
	b := make([]byte, 32)
	if _, err := io.ReadFull(c.random, b); err != nil {
		panic(fmt.Sprintf("no randomness: %v", err))
	}
	return b
}
