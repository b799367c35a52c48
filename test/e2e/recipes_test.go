package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	configuration "github.com/seawall-dev/seawall/internal/config"
)

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")

// Each recipe is a configuration that the gateway takes.
func TestRecipesAreTaken(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs/recipes.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := yamlBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 5 {
		t.Errorf("%d recipes", len(blocks))
	}
	for _, b := range blocks {
		c, err := configuration.Parse([]byte(b[1]), "recipe", configuration.Options{Dir: t.TempDir(), Getenv: func(name string) (string, bool) {
			return "a-secret-of-decent-length", !strings.HasPrefix(name, "SEAWALL_")
		}})
		if err != nil {
			t.Errorf("%s\n%v", b[1], err)
		} else if len(c.Warnings) > 0 {
			t.Errorf("%s\n%v", b[1], c.Warnings)
		}
	}
}
