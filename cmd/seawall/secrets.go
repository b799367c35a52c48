package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/seawall-dev/seawall/seawall"
)

var secretFile = regexp.MustCompile(`file:(secrets/[A-Za-z0-9._/-]+)`)

// makeSecrets writes a random secret into each file secrets/… beside the
// configuration that it refers to and that does not exist, and returns which. The
// form is that of Standard Webhooks, which does for every other scheme too.
func (c *cli) makeSecrets(config string) (made []string, err error) {
	text, err := os.ReadFile(config)
	if err != nil {
		return nil, noConfig(config, err)
	}
	for _, found := range secretFile.FindAllSubmatch(text, -1) {
		name := string(found[1])
		path := filepath.Join(filepath.Dir(config), filepath.FromSlash(name))
		if !filepath.IsLocal(name) {
			continue
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := create(path, c.webhookSecret()+"\n", 0o600); err != nil {
			return made, err
		}
		made = append(made, path)
	}
	return made, nil
}

// noConfig says how to get a configuration where there is none.
func noConfig(file string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return (&seawall.Error{Kind: seawall.ErrNotFound, Msg: "there is no configuration at " + file, Err: err}).
		WithHint("seawall init writes a first one; --config names another")
}
