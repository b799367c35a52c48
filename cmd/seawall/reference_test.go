package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

//go:generate go test . -run ^TestReference$ -update

var update = flag.Bool("update", false, "write docs/cli.md anew")

const referenceFile = "../../docs/cli.md"

// The reference is what the commands say of themselves.
func TestReference(t *testing.T) {
	want := reference((&cli{}).root())
	if *update {
		if err := os.WriteFile(referenceFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the commands say: go generate ./cmd/seawall", referenceFile)
	}
}

func reference(root *cobra.Command) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Command line\n\n<!-- Generated from the commands themselves: go generate ./cmd/seawall -->\n\n%s\n\n", root.Long)
	fmt.Fprintf(&out, "Every command takes:\n\n```\n%s```\n", flags(root.PersistentFlags()))
	for _, g := range root.Groups() {
		fmt.Fprintf(&out, "\n## %s\n", strings.TrimSuffix(g.Title, ":"))
		for _, cmd := range root.Commands() {
			if cmd.GroupID == g.ID && cmd.Name() != "help" && cmd.Name() != "completion" {
				describe(&out, cmd)
			}
		}
	}
	out.WriteString("\n`seawall completion bash|zsh|fish|powershell` prints a completion script for a shell.\n")
	return out.Bytes()
}

func describe(out *bytes.Buffer, cmd *cobra.Command) {
	level := "###"
	if cmd.Parent().HasParent() {
		level = "####"
	}
	fmt.Fprintf(out, "\n%s %s\n\n", level, cmd.CommandPath())
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintf(out, "%s\n", text)
	if cmd.HasSubCommands() {
		for _, sub := range cmd.Commands() {
			if !sub.Hidden {
				describe(out, sub)
			}
		}
		return
	}
	fmt.Fprintf(out, "\n```\n%s\n", cmd.UseLine())
	if cmd.Example != "" {
		fmt.Fprintf(out, "\n%s\n", cmd.Example)
	}
	if own := flags(cmd.NonInheritedFlags()); own != "" {
		fmt.Fprintf(out, "\n%s", own)
	}
	out.WriteString("```\n")
}

func flags(f *pflag.FlagSet) string {
	var kept pflag.FlagSet
	f.VisitAll(func(flag *pflag.Flag) {
		if flag.Name != "help" {
			kept.AddFlag(flag)
		}
	})
	return kept.FlagUsages()
}

// Every command says what it is, takes no argument by accident, and shows what
// it can do without a gateway or a file.
func TestCommandsDescribeThemselves(t *testing.T) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: its short description is %q", cmd.CommandPath(), cmd.Short)
		}
		if cmd.Args == nil {
			t.Errorf("%s does not say which arguments it takes", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk((&cli{}).root())
}

// Help lists what there is.
func TestHelpHidesWhatIsNotThere(t *testing.T) {
	for _, args := range []string{"--help", "deliveries --help"} {
		var out bytes.Buffer
		cli := &cli{in: strings.NewReader(""), out: &out, err: &out, env: func(string) string { return "" }, now: fixed, random: zeros{}, program: "seawall"}
		if code := cli.run(context.Background(), strings.Fields(args)); code != exitDone || strings.Contains(out.String(), "Not in this") || !strings.Contains(out.String(), "Usage:") {
			t.Errorf("seawall %s: exit %d\n%s", args, code, out.String())
		}
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"version", exitDone, ""},
		{"--help", exitDone, ""},
		{"events --help", exitDone, ""},
		{"nonsense", exitUsage, `error: unknown command "nonsense"`},
		{"backup", exitUsage, "error: accepts 1 arg"},
		{"listen", exitUsage, "error: seawall listen is not in this version\nhint: seawall events tail"},
		{"entities list --limit 0", exitUsage, "error: --limit must be 1 or more"},
		{"entities show 1001", exitUsage, "error: \"1001\" is no entity\nhint: an entity is written NAME/KEY"},
		{"entities show order/1 -n 1000", exitUsage, "error: --limit must be 1 to 200"},
		{"entities merge user/1 user/2", exitUsage, "error: a merge cannot be undone\nhint: if user/1 and user/2 are one, say so: --yes"},
		{"links import nowhere.csv", exitFailed, "no such file"},
		{"links import - --format xml", exitUsage, "error: --format must be csv or ndjson"},
		{"links import -", exitFailed, "error: standard input: it is empty\nhint: the first line names the columns"},
		{"deliveries tail --help", exitUsage, "error: seawall deliveries tail is not in this version\nhint: seawall events tail"},
		{"events", exitUsage, "error: seawall events needs a command\nhint: seawall events --help\n"},
		{"events lst", exitUsage, "hint: did you mean seawall events list?"},
		{"events list --nonsense", exitUsage, "error: unknown flag: --nonsense"},
		{"events list --limit 0", exitUsage, "error: --limit must be 1 or more"},
		{"events show", exitUsage, "error: accepts 1 arg"},
		{"events show nonsense", exitFailed, "does not begin with evt_"},
		{"replay", exitUsage, "error: which deliveries?\nhint: give their ids"},
		{"replay dlv_01kbxw0000000000000000r001 --state dead", exitUsage, "error: give either ids or a filter"},
		{"token create --name ann", exitUsage, "error: --name and --scope are needed"},
		{"events list --url http://127.0.0.1:1", exitFailed, "error: gateway not running at 127.0.0.1:1\nhint: start it: seawall serve"},
		{"events list --url nonsense://", exitFailed, "is not the URL of a gateway"},
	} {
		var out, errs bytes.Buffer
		cli := &cli{in: strings.NewReader(""), out: &out, err: &errs, env: func(string) string { return "" }, now: fixed, random: zeros{}, program: "seawall"}
		code := cli.run(context.Background(), strings.Fields(c.args))
		if code != c.code || !strings.Contains(errs.String(), c.says) {
			t.Errorf("seawall %s: exit %d, %q; want %d, %q", c.args, code, errs.String(), c.code, c.says)
		}
	}
}
