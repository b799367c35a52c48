package main

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/access"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

// atStore is who acts by way of the store itself.
const atStore = "cli"

func (c *cli) tokenCommand() *cobra.Command {
	cmd := group("token", "Create, list and delete tokens for the gateway's API",
		c.tokenCreate(), c.tokenList(), c.tokenDelete())
	cmd.Long = `Create, list and delete tokens for the gateway's API.

These work on the store itself, whether the gateway runs or not: who can write
its file needs no token to make one. While there is no token at all, the API
answers programs on its own machine only.`
	return cmd
}

// tokenRow is a token as it is listed: never its secret nor its hash.
type tokenRow struct {
	Name    string    `json:"name"`
	Scopes  []string  `json:"scopes"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	Secret  string    `json:"token,omitempty"`
}

func (c *cli) tokenCreate() *cobra.Command {
	var name, expires string
	var scopes []string
	cmd := &cobra.Command{
		Use: "create", Short: "Create a token and print it, this once", Args: cobra.NoArgs,
		Example: "  seawall token create --name ann --scope admin\n" +
			"  seawall token create --name dashboard --scope read --expires 90d\n" +
			"  seawall token create --name shop --scope calls:payments --scope events:app",
	}
	cmd.Flags().StringVar(&name, "name", "", "who will use it; the `name` under which its actions are recorded")
	cmd.Flags().StringArrayVar(&scopes, "scope", nil, "what it may do: admin, read, calls:SYSTEM or events:SOURCE; may be repeated")
	cmd.Flags().StringVar(&expires, "expires", "", "when it ends: RFC 3339, or from now (90d); default never")
	cmd.RunE = c.does(func(ctx context.Context, _ []string) error {
		if name == "" || len(scopes) == 0 {
			return usagef("--name and --scope are needed")
		}
		end, err := c.ahead(expires)
		if err != nil {
			return err
		}
		secret, t, err := access.New(c.random, name, scopes, c.now(), end)
		if err != nil {
			return err
		}
		err = c.withStore(ctx, true, func(s store.Store) error {
			a := c.action("token.create", name, map[string]string{"scopes": strings.Join(scopes, " ")})
			return s.AddToken(ctx, t, a)
		})
		if err != nil {
			return err
		}
		if c.json {
			return writeJSON(c.out, tokenRow{t.Name, t.Scopes, t.Created, t.Expires, secret})
		}
		c.printf("%s\n", secret)
		if terminal.IsTerminal(c.out) {
			c.printf("%s\n", c.style().Dim("This is shown once. Use it as SEAWALL_TOKEN, or from a file with --token-file."))
		}
		return nil
	})
	return cmd
}

func (c *cli) tokenList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List tokens, without their secrets", Args: cobra.NoArgs,
		RunE: c.does(func(ctx context.Context, _ []string) error {
			var ts []seawall.Token
			err := c.withStore(ctx, false, func(s store.Store) (err error) {
				ts, err = s.ListTokens(ctx)
				return err
			})
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			slices.SortFunc(ts, func(a, b seawall.Token) int { return strings.Compare(a.Name, b.Name) })
			rows := make([]tokenRow, len(ts))
			for i, t := range ts {
				rows[i] = tokenRow{t.Name, t.Scopes, t.Created, t.Expires, ""}
			}
			l := listing[tokenRow]{
				none:  "no tokens: the API answers programs on its own machine only",
				heads: []string{"token", "scopes", "created", "expires"},
				row: func(tab *terminal.Table, t tokenRow) {
					expires := "never"
					if !t.Expires.IsZero() {
						expires = c.moment(t.Expires)
					}
					tab.Row(t.Name, strings.Join(t.Scopes, " "), c.moment(t.Created), expires)
				},
			}
			return l.write(c, rows)
		}),
	}
}

func (c *cli) tokenDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Delete a token; it ends within a second", Args: cobra.ExactArgs(1),
		RunE: c.does(func(ctx context.Context, args []string) error {
			err := c.withStore(ctx, false, func(s store.Store) error {
				return s.DeleteToken(ctx, args[0], c.action("token.delete", args[0], nil))
			})
			if err == nil && !c.json {
				c.printf("%s deleted\n", terminal.Clean(args[0]))
			}
			return err
		}),
	}
}

func (c *cli) action(what, on string, detail map[string]string) seawall.Action {
	return seawall.Action{At: c.now(), By: atStore, What: what, On: on, Detail: detail}
}

// ahead reads when a token ends: RFC 3339, or a duration from now, of which
// whole days and weeks are one too; zero for "".
func (c *cli) ahead(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		digits, ok := strings.CutSuffix(s, unit)
		if n, err := strconv.Atoi(digits); ok && err == nil && n > 0 && n < 10_000 {
			return c.now().Add(time.Duration(n) * length), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return c.now().Add(d), nil
	}
	return time.Time{}, usageHint(usagef("--expires: %q is neither a time nor a duration", s), "for example 90d, 12h or 2027-01-31T12:00:00Z")
}
