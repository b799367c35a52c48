package postgres

import (
	"errors"
	"strings"
	"testing"

	"github.com/seawall-dev/seawall/seawall"
)

func TestG9_ErrorsOfTheConnectionAreOneLine(t *testing.T) {
	err := errors.New("failed to connect to `user=u database=d`:\n\t127.0.0.1:1 (db): dial error: refused\n\t127.0.0.1:1 (db): dial error: refused\n\t[::1]:1 (db): dial error: refused")
	got := judge(err)
	if want := "store: failed to connect to `user=u database=d`: 127.0.0.1:1 (db): dial error: refused; [::1]:1 (db): dial error: refused"; got.Error() != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !errors.Is(got, seawall.ErrUnavailable) || !errors.Is(got, err) {
		t.Errorf("%v is not what it was made of", got)
	}
	if hint := seawall.Hint(judge(errors.New("tls error: server refused TLS connection"))); !strings.Contains(hint, "sslmode=disable") {
		t.Errorf("where TLS is refused, the hint is %q", hint)
	}
}
