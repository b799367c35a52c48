package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const whsec = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// environment answers for every variable that the examples name.
func environment(name string) (string, bool) {
	if strings.HasPrefix(name, "SEAWALL_") {
		return "", false
	}
	return whsec, true
}

// files holds every secret that the examples name, beside the examples.
func files(path string) ([]byte, error) {
	if strings.Contains(path, "secrets/") {
		return []byte(whsec + "\n"), nil
	}
	return os.ReadFile(path)
}

func TestExamples(t *testing.T) {
	found, err := filepath.Glob("../../examples/*/seawall.yaml")
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	for _, f := range found {
		c, err := Load(f, Options{Getenv: environment, ReadFile: files})
		if err != nil {
			t.Errorf("%s:\n%v", f, err)
			continue
		}
		for _, w := range c.Warnings {
			t.Errorf("%s: %s", f, w)
		}
	}
}
