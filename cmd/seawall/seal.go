package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/seal"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

func (c *cli) sealCommand() *cobra.Command {
	cmd := group("seal", "Look after the keys that seal secrets in the store", c.sealRotate())
	cmd.Long = `Look after the keys that seal secrets in the store.

What no configuration can hold, such as the refresh tokens that a provider gives in
place of the ones before, is kept in the store, sealed with the first key under
seal. The other keys there only open.`
	return cmd
}

func (c *cli) sealRotate() *cobra.Command {
	return &cobra.Command{
		Use: "rotate", Short: "Seal with the first key whatever another key has sealed", Args: cobra.NoArgs,
		Long: `Seal with the first key whatever another key has sealed.

To change the key: put the new one before the old one, reload all nodes, run this,
take the old one away and reload again. It works beside a gateway that runs.`,
		Example: "  seawall seal rotate",
		RunE: c.does(func(ctx context.Context, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			if len(cfg.Seal) == 0 {
				return seawall.Errorf(seawall.ErrInvalid, "the configuration has no seal key").
					WithHint(`for example seal: { key: "${SEAWALL_SEAL_KEY}" }, 32 random bytes in base64`)
			}
			var keys []seal.Key
			for _, k := range cfg.Seal {
				keys = append(keys, seal.Key(k))
			}
			n := 0
			err = c.withStore(ctx, false, func(s store.Store) error {
				if n, err = seal.Rotate(ctx, s, seal.New(keys), c.now); err != nil || n == 0 {
					return err
				}
				return s.Record(ctx, c.action("seal.rotate", keys[0].ID, map[string]string{"sealed": strconv.Itoa(n)}))
			})
			if err != nil {
				return err
			}
			if c.json {
				return writeJSON(c.out, struct {
					Key    string `json:"key"`
					Sealed int    `json:"sealed"`
				}{keys[0].ID, n})
			}
			c.printf("%d sealed anew with key %s; no other key is needed any more\n", n, keys[0].ID)
			return nil
		}),
	}
}
