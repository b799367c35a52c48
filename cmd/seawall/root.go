package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "seawall",
		Short: "Never lose a webhook, never handle one twice, never wonder where it went",
		Long: `Seawall receives webhooks, stores each durably before it answers, and delivers
them to your programs, signed, with retries, for as long as that takes.

Commands that speak to a running gateway use its admin listener: --url or
SEAWALL_URL, else the address in the configuration. A token comes from
--token-file or SEAWALL_TOKEN.

Exit codes: 0 done, 1 failed, 2 wrong usage.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SilenceErrors: true,
		SilenceUsage:  true,
	}
	f := root.PersistentFlags()
	f.StringVarP(&c.config, "config", "c", "", "configuration `file` (default: SEAWALL_CONFIG, else seawall.yaml)")
	f.BoolVar(&c.json, "json", false, "write JSON, lists as one object a line")
	f.StringVar(&c.url, "url", "", "`URL` of the gateway's admin listener (default: SEAWALL_URL, else from the configuration)")
	f.StringVar(&c.tokenFile, "token-file", "", "`file` that holds the token for the gateway's API (default: the token in SEAWALL_TOKEN)")

	const start, look, act, tools = "start", "look", "act", "tools"
	root.AddGroup(
		&cobra.Group{ID: start, Title: "Start:"},
		&cobra.Group{ID: look, Title: "Look:"},
		&cobra.Group{ID: act, Title: "Act:"},
		&cobra.Group{ID: tools, Title: "Tools:"},
	)
	add := func(group string, cmds ...*cobra.Command) {
		for _, cmd := range cmds {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add(start, c.demoCommand(), c.initCommand(), c.checkCommand(), c.serveCommand())
	add(look, c.eventsCommand(), c.deliveriesCommand(), c.entitiesCommand(), c.linksCommand(), c.callsCommand(), c.systemsCommand(), c.arrivalsCommand())
	add(act, c.replayCommand(), c.destinationsCommand(), c.configCommand(), c.tokenCommand(), c.sealCommand(), c.backupCommand(), c.migrateCommand())
	add(tools, c.doctorCommand(), c.sendCommand(), c.verifyCommand(), c.providersCommand(), c.versionCommand())
	for path := range later {
		if !strings.Contains(path, " ") {
			root.AddCommand(notYet(path))
		}
	}
	root.SetHelpCommandGroupID(tools)
	root.SetCompletionCommandGroupID(tools)
	return root
}

// group makes a command that only holds others.
func group(name, short string, cmds ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use: name, Short: short, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("%s needs a command", cmd.CommandPath())
			}
			err := usagef("unknown command %q for %q", args[0], cmd.CommandPath())
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				return usageHint(err, "did you mean %s %s?", cmd.CommandPath(), near[0])
			}
			return err
		},
	}
	g.SuggestionsMinimumDistance = 2
	g.AddCommand(cmds...)
	return g
}
