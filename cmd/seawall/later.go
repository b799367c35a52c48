package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/seawall"
)

// later are commands that the design has and this version does not, each with
// what does its work meanwhile. They are not in the help.
var later = map[string]string{
	"reconcile":       "seawall replay sends finished deliveries again, by id or by filter",
	"listen":          "seawall events tail follows events as they come",
	"deliveries tail": "seawall events tail follows events, seawall deliveries list --since 10m shows what became of them",
}

// notYet makes the command of that name, which says what to use meanwhile.
func notYet(path string) *cobra.Command {
	name := path[strings.LastIndexByte(path, ' ')+1:]
	return &cobra.Command{
		Use: name, Short: "Not in this version", Hidden: true,
		Args: cobra.ArbitraryArgs, DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return &usageError{seawall.Errorf(seawall.ErrInvalid, "seawall %s is not in this version", path).WithHint("%s", later[path])}
		},
	}
}
