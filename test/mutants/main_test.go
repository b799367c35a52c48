package main

import (
	"os/exec"
	"testing"
)

// A planted bug that no longer fits the code proves nothing, and is easily missed:
// planting them all takes too long for every change.
func TestPlantedBugsFit(t *testing.T) {
	ms, err := mutants(".", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ms {
		cmd := exec.Command("git", "apply", "--check", "-C1", "test/mutants/"+m.file)
		cmd.Dir = "../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %s", m.name, out)
		}
	}
}
