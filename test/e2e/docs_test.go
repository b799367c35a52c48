package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// files reads those of the tree whose name ends so, by their path.
func files(t *testing.T, suffix string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, suffix) {
			return nil
		}
		text, err := os.ReadFile(path)
		out[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var link = regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]*))?\)`)

func TestDocsLinksLeadSomewhere(t *testing.T) {
	pages := files(t, ".md")
	for path, text := range pages {
		if strings.HasPrefix(path, filepath.Join(root, "internal")) {
			continue // parts, of which a page under docs is made
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			to := m[1]
			if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
				continue
			}
			target := path
			if to != "" {
				target = filepath.Join(filepath.Dir(path), to)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s is not there", path, to)
			} else if page, ok := pages[target]; ok && m[2] != "" && !slices.Contains(anchors(page), m[2]) {
				t.Errorf("%s: %s has no heading #%s", path, to, m[2])
			}
		}
	}
}

var notInAnchors = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// anchors are the headings of a page as they are linked to.
func anchors(page string) (out []string) {
	for line := range strings.Lines(page) {
		if heading := strings.TrimLeft(line, "#"); heading != line && strings.HasPrefix(heading, " ") {
			name := notInAnchors.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
			out = append(out, strings.ReplaceAll(name, " ", "-"))
		}
	}
	return out
}

var (
	namedTest   = regexp.MustCompile("`(Test[A-Za-z0-9_]+)`")
	declared    = regexp.MustCompile(`(?m)^(?:func |\t\{")(Test[A-Za-z0-9_]+)[("]`) // of a suite too
	sectionHead = regexp.MustCompile(`(?m)^## (G\d+):`)
)

// Each test that a page names exists, and each guarantee that this version
// gives names a test of its number.
func TestDocsNameTestsThatExist(t *testing.T) {
	exists := map[string]bool{}
	for _, text := range files(t, ".go") {
		for _, m := range declared.FindAllStringSubmatch(text, -1) {
			exists[m[1]] = true
		}
	}
	pages := files(t, ".md")
	for path, text := range pages {
		for _, m := range namedTest.FindAllStringSubmatch(text, -1) {
			if !exists[m[1]] && !strings.HasSuffix(path, "CONTRIBUTING.md") {
				t.Errorf("%s names %s, which there is not", path, m[1])
			}
		}
	}

	text := pages[filepath.Join(root, "docs/guarantees.md")]
	heads := sectionHead.FindAllStringSubmatchIndex(text, -1)
	if len(heads) != 10 {
		t.Errorf("%d guarantees are stated, want 10", len(heads))
	}
	for i, h := range heads {
		end := len(text)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		section, number := text[h[0]:end], text[h[2]:h[3]]
		if !strings.Contains(section, "`Test"+number+"_") && !strings.Contains(section, "Not in this version") {
			t.Errorf("%s names no test of its number", number)
		}
	}
}

var (
	commandHead = regexp.MustCompile(`(?m)^#{3,4} (seawall .*)$`)
	flag        = regexp.MustCompile(`--[a-z][a-z-]*`)
	shown       = regexp.MustCompile("(?m)(?:^[ \t$]*|`)(?:bin/|/usr/local/bin/)?(seawall [a-z][^`\n#]*)")
)

// Every command that a page shows exists, with its flags: docs/cli.md, which is
// made from the commands, has them.
func TestDocsShowCommandsThatExist(t *testing.T) {
	pages := files(t, ".md")
	reference := filepath.Join(root, "docs/cli.md")
	text := pages[reference]
	delete(pages, reference)
	heads := commandHead.FindAllStringSubmatchIndex(text, -1)
	common := flag.FindAllString(text[:heads[0][0]], -1)
	flags := map[string][]string{}
	for i, h := range heads {
		end := len(text)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		flags[text[h[2]:h[3]]] = append(flag.FindAllString(text[h[1]:end], -1), common...)
	}

	n := 0
	for path, page := range pages {
		if strings.Contains(path, "CHANGELOG") || strings.Contains(path, "status.md") {
			continue // they speak of other versions too
		}
		for _, m := range shown.FindAllStringSubmatch(page, -1) {
			n++
			line := strings.TrimSpace(m[1])
			words := strings.Fields(line)
			command := ""
			for i := min(3, len(words)); i > 1 && command == ""; i-- {
				if c := strings.Join(words[:i], " "); flags[c] != nil {
					command = c
				}
			}
			if command == "" {
				t.Errorf("%s shows %q: there is no such command", path, line)
				continue
			}
			for _, f := range flag.FindAllString(line, -1) {
				if f != "--help" && !slices.Contains(flags[command], f) {
					t.Errorf("%s shows %q: %s has no flag %s", path, line, command, f)
				}
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d commands found in the pages: is the pattern right?", n)
	}
}

var (
	imported = regexp.MustCompile(`(?m)^(?:import )?\t?(?:[\w.]+ )?"([a-z0-9-]+(?:\.[a-z0-9-]+)+/[^"]+)"$`)
	listed   = regexp.MustCompile(`(?m)^\| \[([^\]]+)\]`)
)

// Every module that is imported has its line in docs/dependencies.md, and no
// other has one but the tools.
func TestDocsNameDependencies(t *testing.T) {
	var modules []string
	for _, m := range listed.FindAllStringSubmatch(files(t, "docs/dependencies.md")[filepath.Join(root, "docs/dependencies.md")], -1) {
		modules = append(modules, m[1])
	}
	tools := files(t, "go.mod")[filepath.Join(root, "go.mod")]
	used := map[string]bool{}
	for path, text := range files(t, ".go") {
		for _, m := range imported.FindAllStringSubmatch(text, -1) {
			if strings.HasPrefix(m[1], "github.com/seawall-dev/") {
				continue
			}
			i := slices.IndexFunc(modules, func(module string) bool {
				return m[1] == module || strings.HasPrefix(m[1], module+"/")
			})
			if i < 0 {
				t.Errorf("%s imports %s, which docs/dependencies.md does not name", path, m[1])
				continue
			}
			used[modules[i]] = true
		}
	}
	for _, module := range modules {
		if !used[module] && !strings.Contains(tools, "\t"+module+"/cmd/") {
			t.Errorf("docs/dependencies.md names %s, which nothing imports", module)
		}
	}
}

// Whoever begins has make: it fetches the Go release that is needed, which go
// itself may be forbidden to do (GOTOOLCHAIN=local).
func TestReadmeNeedsNoGoCommand(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`\bgo (run|build|test|install)\b.*`).Find(text); m != nil {
		t.Errorf("README.md: %q: let make build it, and name what is in bin", m)
	}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range regexp.MustCompile(`bin/[a-z]+`).FindAllString(string(text), -1) {
		if !strings.Contains(string(makefile), "-o "+program+" ") {
			t.Errorf("README.md names %s, which make build does not make", program)
		}
	}
}
