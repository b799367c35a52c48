package system

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/seal"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/seawall"
)

// provider gives access tokens for refresh tokens that are good for one use.
type provider struct {
	mu      sync.Mutex
	refresh string // the one that is good; "": client credentials
	life    int    // seconds
	n       int
	asked   []url.Values
	reuses  int
	slow    time.Duration
	answer  func(form url.Values) *send.Reply // not nil: in place of all that
}

func (p *provider) do(_ context.Context, r *send.Request, _ send.Timeouts) send.Reply {
	time.Sleep(p.slow)
	p.mu.Lock()
	defer p.mu.Unlock()
	form, _ := url.ParseQuery(string(r.Body))
	p.asked = append(p.asked, form)
	if p.answer != nil {
		if reply := p.answer(form); reply != nil {
			return *reply
		}
	}
	if want := "Basic " + base64.StdEncoding.EncodeToString([]byte("me:client-secret")); r.Header.Get("Authorization") != want {
		return said(401, `{"error":"invalid_client"}`)
	}
	if p.refresh != "" {
		if form.Get("refresh_token") != p.refresh {
			p.reuses++
			return said(400, `{"error":"invalid_grant","error_description":"unknown `+form.Get("refresh_token")+`"}`)
		}
		p.refresh = fmt.Sprintf("refresh-token-%d", p.n+1)
	}
	p.n++
	return said(200, fmt.Sprintf(`{"access_token":"access-token-%d","token_type":"bearer","expires_in":%d,"refresh_token":%q}`, p.n, p.life, p.refresh))
}

func said(status int, body string) send.Reply {
	return send.Reply{Sent: true, Response: &seawall.Response{Status: status, Headers: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body)}}
}

var box = seal.New([]seal.Key{{ID: "k", Bytes: [32]byte{1}}})

func client(t *testing.T, m *Memory, name string, p *provider, refresh string, box *seal.Box) *oauth {
	t.Helper()
	s := node(t, m, name, config.System{})
	return s.oauth("crm", config.OAuth2{
		TokenURL: mustURL(t, "https://id.example/token?x=1"), ID: "me", Secret: "client-secret", Scopes: []string{"a", "b"}, Refresh: refresh,
	}, p.do, box, nil).(*oauth)
}

func access(t *testing.T, o *oauth, refused string) string {
	t.Helper()
	got, err := o.token(t.Context(), refused)
	if err != nil {
		t.Fatal(err)
	}
	return got.header()
}

// Over a day, whoever asks gets a token that is good, and none waits for it.
func TestTokenIsRenewedAheadOfItsExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{life: 3600, slow: 5 * time.Second}
		o := client(t, NewMemory(time.Now), "n", p, "", nil)
		var wg sync.WaitGroup
		for range 100 { // a single flight
			wg.Go(func() {
				if got := access(t, o, ""); got != "Bearer access-token-1" {
					t.Error(got)
				}
			})
		}
		wg.Wait()
		if len(p.asked) != 1 {
			t.Errorf("asked %d times", len(p.asked))
		}
		if f := p.asked[0]; f.Get("grant_type") != "client_credentials" || f.Get("scope") != "a b" {
			t.Errorf("asked for %v", f)
		}
		start := time.Now()
		for time.Since(start) < 24*time.Hour {
			before := time.Now()
			access(t, o, "")
			if waited := time.Since(before); waited > 0 {
				t.Fatalf("waited %v for a token", waited)
			}
			time.Sleep(10 * time.Second)
		}
		if p.n < 24 || p.n > 26 {
			t.Errorf("%d tokens in a day, which last an hour", p.n)
		}
	})
}

func TestTokenWithoutAnExpiryIsUsedUntilRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{}
		o := client(t, NewMemory(time.Now), "n", p, "", nil)
		access(t, o, "")
		time.Sleep(1000 * time.Hour)
		if got := access(t, o, ""); got != "Bearer access-token-1" || p.n != 1 {
			t.Error(got)
		}
		if got := access(t, o, "access-token-1"); got != "Bearer access-token-2" || p.n != 2 {
			t.Errorf("%s after the first was refused", got)
		}
		if got := access(t, o, "access-token-1"); got != "Bearer access-token-2" || p.n != 2 {
			t.Errorf("%s for one who comes late with the first", got)
		}
	})
}

// A refresh token that is good for one use is used once, whatever nodes do, for
// days, over restarts.
func TestRotatingRefreshTokenOverNodesAndRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(time.Now)
		p := &provider{life: 1800, refresh: "configured-refresh", slow: time.Second}
		for day := range 3 {
			a := client(t, m, fmt.Sprint("a", day), p, "configured-refresh", box)
			b := client(t, m, fmt.Sprint("b", day), p, "configured-refresh", box)
			for range 24 * 60 {
				var wg sync.WaitGroup
				for _, o := range []*oauth{a, b} {
					wg.Go(func() { access(t, o, "") })
				}
				wg.Wait()
				time.Sleep(time.Minute)
			}
			synctest.Wait()
		}
		if p.reuses != 0 {
			t.Errorf("%d uses of a refresh token that was used", p.reuses)
		}
		if p.n < 3*48 || p.n > 3*56 {
			t.Errorf("%d renewals in three days of two nodes, where a token lasts half an hour", p.n)
		}
		for _, row := range m.sealed {
			if text := string(row.Data); strings.Contains(text, "token") || strings.Contains(text, "refresh") {
				t.Error("the store sees it")
			}
		}
	})
}

func TestNewRefreshTokenInTheConfigurationStartsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(time.Now)
		p := &provider{life: 60, refresh: "first-refresh"}
		access(t, client(t, m, "n", p, "first-refresh", box), "")
		synctest.Wait()
		p.refresh = "second-refresh"
		time.Sleep(time.Hour)
		_, err := client(t, m, "n", p, "first-refresh", box).token(t.Context(), "")
		if err == nil || !strings.Contains(err.Error(), "authorize anew") {
			t.Errorf("the old one: %v", err)
		}
		access(t, client(t, m, "n", p, "second-refresh", box), "")
	})
}

// A node that dies as it renews keeps the others waiting for a while only.
func TestRenewalOfANodeThatDiedIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(time.Now)
		if held, err := m.Hold(t.Context(), "oauth2/crm", "dead", renewHold); !held || err != nil {
			t.Fatal(held, err)
		}
		p := &provider{life: 1800, refresh: "r"}
		o := client(t, m, "n", p, "r", box)
		start := time.Now()
		_, err := o.token(t.Context(), "")
		for err != nil && time.Since(start) < time.Hour {
			time.Sleep(time.Second)
			_, err = o.token(t.Context(), "")
		}
		if took := time.Since(start); took > renewHold+renewTime {
			t.Errorf("a token after %v: %v", took, err)
		}
	})
}

func TestTokenErrorsSayWhatToDoAndNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for what, c := range map[string]struct {
			refresh string
			box     *seal.Box
			reply   send.Reply
			want    []string
		}{
			"client":   {reply: said(401, `{"error":"invalid_client","error_description":"secret client-secret is wrong"}`), want: []string{"https://id.example/token", "invalid_client", "check the client id"}},
			"grant":    {refresh: "my-refresh", box: box, reply: said(400, `{"error":"invalid_grant","error_description":"my-refresh is used up"}`), want: []string{"authorize anew"}},
			"no json":  {reply: said(502, `<html>client-secret</html>`), want: []string{"HTTP 502"}},
			"a page":   {reply: said(404, `<html>`), want: []string{"HTTP 404", "check the token url"}},
			"no token": {reply: said(200, `{}`), want: []string{"access_token"}},
			"away":     {reply: send.Reply{Err: fmt.Errorf("connect: refused by 10.0.0.1:443")}, want: []string{"connect: refused"}},
			"no key":   {refresh: "my-refresh", want: []string{"seal key"}},
		} {
			p := &provider{answer: func(url.Values) *send.Reply { return &c.reply }}
			o := client(t, NewMemory(time.Now), "n", p, c.refresh, c.box)
			_, err := o.token(t.Context(), "")
			if err == nil {
				t.Fatalf("%s: a token", what)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%s: %q is not in: %v", what, w, err)
				}
			}
			for _, secret := range []string{"client-secret", "my-refresh", "x=1"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%s: a secret in: %v", what, err)
				}
			}
			n := len(p.asked)
			if _, again := o.token(t.Context(), ""); again == nil || len(p.asked) != n {
				t.Errorf("%s: asked again at once", what)
			}
		}
	})
}

// A token that was got is used, and kept once the store can.
func TestRefreshTokenIsKeptWhenTheStoreIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(time.Now)
		p := &provider{life: 1800, refresh: "r"}
		p.answer = func(url.Values) *send.Reply {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.Fail = seawall.Errorf(seawall.ErrUnavailable, "away")
			return nil
		}
		go func() {
			time.Sleep(5 * time.Second)
			m.mu.Lock()
			defer m.mu.Unlock()
			m.Fail = nil
		}()
		access(t, client(t, m, "n", p, "r", box), "")
		time.Sleep(time.Minute)
		p.answer = nil
		access(t, client(t, m, "other", p, "r", box), "access-token-1")
		if p.reuses != 0 {
			t.Error("the first refresh token was used again")
		}
	})
}
