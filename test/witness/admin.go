package witness

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Ask reads something from a gateway's API, such as /status, into out.
func (g *Gateway) Ask(ctx context.Context, path string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.Admin+"/api/v1"+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// Revision is the number of the configuration that it runs.
func (g *Gateway) Revision(ctx context.Context) (int64, error) {
	var status struct{ Revision int64 }
	err := g.Ask(ctx, "/status", &status)
	return status.Revision, err
}

// Attempts is how many attempts it has made since it started.
func (g *Gateway) Attempts(ctx context.Context) (n int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.Admin+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "seawall_attempts_total{") {
			continue
		}
		_, value, _ := strings.Cut(lines.Text(), "} ")
		one, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, err
		}
		n += int(one)
	}
	return n, lines.Err()
}
