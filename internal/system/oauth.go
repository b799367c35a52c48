package system

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/seal"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	renewTime   = 30 * time.Second       // for one renewal
	renewHold   = 45 * time.Second       // that it is ours alone; longer than the renewal
	renewLook   = 200 * time.Millisecond // between two looks at what another node renews
	renewPause  = 2 * time.Second        // after one that failed
	renewPerson = 30 * time.Second       // after one that only a person can mend
	renewAhead  = 2 * time.Minute        // of the expiry at most
	renewYoung  = 10 * time.Second       // a token that was got for a refusal is not given up for another so soon
	keepTries   = 5
)

// oauth holds an access token. It is renewed a while before it expires, or when
// the system refuses it; by one request, whoever asks, on whichever node.
type oauth struct {
	all    *Systems
	system string
	c      config.OAuth2
	of     string // hash of what tokens are got with: others are not ours

	mu     sync.Mutex
	do     doer
	box    *seal.Box
	now    token
	before string // the access token before; it may still be under way
	forced bool   // now was got since the one before was refused, and was not taken yet
	flight *renewal
	failed error
	pause  time.Time // until the next try, where the last one failed
}

// token is what is kept, sealed.
type token struct {
	Of      string    `json:"of"`
	Type    string    `json:"type"`
	Access  string    `json:"access"`
	Refresh string    `json:"refresh,omitempty"`
	Got     time.Time `json:"got"`
	Expires time.Time `json:"expires,omitzero"`
}

// renewal is under way.
type renewal struct {
	done  chan struct{}
	token token
	err   error
}

func (s *Systems) oauth(system string, c config.OAuth2, do doer, box *seal.Box, before auth) auth {
	o, ok := before.(*oauth)
	if !ok || !reflect.DeepEqual(o.c, c) {
		o = &oauth{all: s, system: system, c: c}
		sum := sha256.Sum256([]byte(strings.Join(append([]string{c.TokenURL.String(), c.ID, c.Secret, c.Audience, c.Refresh}, c.Scopes...), "\x00")))
		o.of = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.do, o.box = do, box
	o.pause = time.Time{} // perhaps somebody has just mended it
	return o
}

func (o *oauth) adds() ([]string, string) { return []string{"Authorization"}, "" }

func (o *oauth) secrets() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return []string{o.c.Secret, o.c.Refresh, o.now.Access, o.now.Refresh, o.before}
}

func (o *oauth) put(ctx context.Context, r *send.Request, _ time.Time) error {
	t, err := o.token(ctx, "")
	if err != nil {
		return err
	}
	r.Header["Authorization"] = []string{t.header()}
	return nil
}

func (t token) header() string { return t.Type + " " + t.Access }

func (o *oauth) refused(ctx context.Context, r *send.Request) bool {
	_, access, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if o.vain(access) {
		return false
	}
	_, err := o.token(ctx, access)
	if err != nil && ctx.Err() == nil {
		o.all.complain("an access token was refused, and there is no other", "system", o.system, "error", err)
	}
	return err == nil
}

// vain tells whether another token would be refused like this one: it was itself
// got a moment ago in place of one that was. A system that refuses all we bring must
// not have us at the token endpoint for each request.
func (o *oauth) vain(access string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.forced && access == o.now.Access && o.all.Now().Sub(o.now.Got).Abs() < renewYoung
}

func (o *oauth) taken(r *send.Request) {
	_, access, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	o.mu.Lock()
	defer o.mu.Unlock()
	if access == o.now.Access {
		o.forced = false
	}
}

// good tells whether a token can be used.
func (o *oauth) good(t token, refused string, now time.Time) bool {
	return t.Access != "" && t.Access != refused && (t.Expires.IsZero() || now.Before(t.Expires))
}

// due tells whether it is time to renew it.
func (t token) due(now time.Time) bool {
	if t.Expires.IsZero() {
		return false
	}
	return !now.Before(t.Expires.Add(-min(renewAhead, t.Expires.Sub(t.Got)/4)))
}

// token is one that can be used and is not the one refused.
func (o *oauth) token(ctx context.Context, refused string) (token, error) {
	for range 3 {
		now := o.all.Now()
		o.mu.Lock()
		t := o.now
		good := o.good(t, refused, now)
		if good && !t.due(now) {
			o.mu.Unlock()
			return t, nil
		}
		f := o.flight
		if f == nil {
			if now.Before(o.pause) {
				err := o.failed
				o.mu.Unlock()
				if good {
					return t, nil
				}
				return token{}, err
			}
			f = &renewal{done: make(chan struct{})}
			o.flight = f
			o.all.spawn(func() { o.renew(context.WithoutCancel(ctx), f, refused) })
		}
		o.mu.Unlock()
		if good {
			return t, nil // the new one comes in time
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return token{}, errors.New("cut off by the gateway while it waited for an access token")
		}
		if f.err != nil {
			return token{}, f.err
		}
		if o.good(f.token, refused, o.all.Now()) {
			return f.token, nil
		}
	}
	return token{}, fmt.Errorf("oauth2: the token endpoint of system %q gives tokens that expire at once or are refused", o.system)
}

// renew gets another token, and tells all who wait for it.
func (o *oauth) renew(ctx context.Context, f *renewal, refused string) {
	ctx, cancel := context.WithTimeout(ctx, renewTime)
	defer cancel()
	defer close(f.done)
	t, err := o.another(ctx, refused)
	now := o.all.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flight = nil
	f.token, f.err = t, err
	if err == nil {
		if t.Access != o.now.Access {
			o.before, o.forced = o.now.Access, refused != ""
		}
		o.now, o.failed, o.pause = t, nil, time.Time{}
		return
	}
	wait := renewPause
	var person *deniedError
	if errors.As(err, &person) {
		wait = renewPerson
	}
	o.failed, o.pause = err, now.Add(wait)
	o.all.complain("no access token", "system", o.system, "error", err)
}

// another is a token other than the one refused: what another node has got, else
// a new one. A refresh token may be good for one use only; so it is used by who
// has the sole right to, and what came of it is kept before it is used.
func (o *oauth) another(ctx context.Context, refused string) (token, error) {
	if o.sealing().Key() == "" {
		if o.c.Refresh != "" {
			return token{}, fmt.Errorf("oauth2: the refresh token of system %q cannot be used: its successors must be kept, and there is no key to seal them with; give the configuration a seal key", o.system)
		}
		return o.fetch(ctx, "")
	}
	v, name := o.all.Store, "oauth2/"+o.system
	for {
		_, t, err := o.kept(ctx, name)
		if err != nil {
			return token{}, err
		}
		if o.good(t, refused, o.all.Now()) && !t.due(o.all.Now()) {
			return t, nil
		}
		held, err := v.Hold(ctx, name, o.all.Node, renewHold)
		if err != nil {
			return token{}, fmt.Errorf("oauth2: the store does not say who renews the token of system %q: %w", o.system, err)
		}
		if held {
			break
		}
		timer := time.NewTimer(renewLook)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return token{}, fmt.Errorf("oauth2: another node renews the token of system %q, and does not get on", o.system)
		}
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
		defer cancel()
		_, _ = v.Hold(ctx, name, o.all.Node, 0) // else it runs out
	}()
	row, t, err := o.kept(ctx, name)
	if err != nil {
		return token{}, err
	}
	if o.good(t, refused, o.all.Now()) && !t.due(o.all.Now()) {
		return t, nil
	}
	refresh := o.c.Refresh
	if t.Refresh != "" {
		refresh = t.Refresh
	}
	next, err := o.fetch(ctx, refresh)
	if err != nil {
		return token{}, err
	}
	return next, o.keep(context.WithoutCancel(ctx), row, next)
}

func (o *oauth) sealing() *seal.Box {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.box
}

// kept is what the store keeps; a zero token if that is of another configuration.
func (o *oauth) kept(ctx context.Context, name string) (store.Sealed, token, error) {
	row, err := o.all.Store.Sealed(ctx, name)
	if errors.Is(err, seawall.ErrNotFound) {
		return store.Sealed{Name: name}, token{}, nil
	}
	if err != nil {
		return store.Sealed{}, token{}, fmt.Errorf("oauth2: the token of system %q: %w", o.system, err)
	}
	plain, err := o.sealing().Open(name, row.Key, row.Data)
	if err != nil {
		return store.Sealed{}, token{}, fmt.Errorf("oauth2: the token of system %q: %w; %s", o.system, err, seawall.Hint(err))
	}
	var t token
	if err := json.Unmarshal(plain, &t); err != nil || t.Of != o.of {
		t = token{}
	}
	return *row, t, nil
}

// keep seals a token. One that is not kept may be the only one that there ever
// will be, so it is tried more than once.
func (o *oauth) keep(ctx context.Context, row store.Sealed, t token) error {
	plain, err := json.Marshal(t)
	if err != nil {
		return err
	}
	next := store.Sealed{Name: row.Name, Version: row.Version, At: o.all.Now()}
	if next.Key, next.Data, err = o.sealing().Seal(row.Name, plain); err != nil {
		return err
	}
	var done bool
	for try := range keepTries {
		if try > 0 {
			timer := time.NewTimer(time.Second << (try - 1))
			<-timer.C
		}
		ctx, cancel := context.WithTimeout(ctx, storeTime)
		done, err = o.all.Store.PutSealed(ctx, next)
		cancel()
		switch {
		case err != nil:
			continue
		case done:
			return nil
		}
		// Who sealed it anew with another key changed the row; a write of our own
		// whose answer was lost did so, too.
		now, kept, err := o.kept(ctx, row.Name)
		if err == nil && kept == t {
			return nil
		}
		if err == nil {
			next.Version = now.Version
		}
	}
	o.all.Log.Error("a refresh token is not kept: if this process ends, a person has to authorize anew", "system", o.system, "error", err)
	return nil // it works, here and now
}

// deniedError is an answer that only a person can change.
type deniedError struct{ msg string }

func (e *deniedError) Error() string { return e.msg }

// fetch asks the token endpoint, once.
func (o *oauth) fetch(ctx context.Context, refresh string) (token, error) {
	o.mu.Lock()
	client := &http.Client{
		Transport:     wire{o.do, o.all.agent()},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	o.mu.Unlock()
	ctx = context.WithValue(ctx, oauth2.HTTPClient, client)
	style := oauth2.AuthStyleInHeader
	if o.c.InBody {
		style = oauth2.AuthStyleInParams
	}
	asked := o.all.Now()
	var got *oauth2.Token
	var err error
	if refresh != "" {
		c := oauth2.Config{ClientID: o.c.ID, ClientSecret: o.c.Secret, Endpoint: oauth2.Endpoint{TokenURL: o.c.TokenURL.String(), AuthStyle: style}}
		got, err = c.TokenSource(ctx, &oauth2.Token{RefreshToken: refresh}).Token()
	} else {
		c := clientcredentials.Config{ClientID: o.c.ID, ClientSecret: o.c.Secret, TokenURL: o.c.TokenURL.String(), Scopes: o.c.Scopes, AuthStyle: style}
		if o.c.Audience != "" {
			c.EndpointParams = url.Values{"audience": {o.c.Audience}}
		}
		got, err = c.Token(ctx)
	}
	if err != nil {
		return token{}, o.explain(err, refresh)
	}
	t := token{Of: o.of, Type: got.Type(), Access: got.AccessToken, Refresh: got.RefreshToken, Got: asked}
	if o.c.Refresh == "" {
		t.Refresh = "" // client credentials need none
	}
	// By our own clock, from before it was asked for: never later than it says.
	if !got.Expiry.IsZero() {
		t.Expires = asked.Add(max(time.Until(got.Expiry), 0))
	}
	if strings.ContainsAny(t.header(), "\r\n\x00") {
		return token{}, fmt.Errorf("oauth2: token endpoint %s: the access token cannot be sent in a header", o.at())
	}
	return t, nil
}

// at names the token endpoint, without a query.
func (o *oauth) at() string {
	return o.c.TokenURL.Scheme + "://" + o.c.TokenURL.Host + o.c.TokenURL.EscapedPath()
}

// explain says what a token endpoint refused and what to do, without a secret.
func (o *oauth) explain(err error, refresh string) error {
	where := fmt.Sprintf("oauth2: token endpoint %s", o.at())
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return fmt.Errorf("%s: %s", where, o.clean(err.Error(), refresh))
	}
	status := 0
	if refused.Response != nil {
		status = refused.Response.StatusCode
	}
	said := refused.ErrorCode
	if refused.ErrorDescription != "" {
		said += " (" + refused.ErrorDescription + ")"
	}
	said = o.clean(said, refresh)
	if said == "" {
		said = fmt.Sprintf("HTTP %d", status)
	}
	todo := ""
	switch refused.ErrorCode {
	case "invalid_client", "unauthorized_client":
		todo = "check the client id and secret, and whether they are to be sent in the body"
	case "invalid_grant":
		todo = "the refresh token is no longer taken: authorize anew and put the new one into the configuration"
		if o.c.Refresh == "" {
			todo = "the client may not use client credentials: see its settings at the provider"
		}
	case "invalid_scope":
		todo = "check the scopes"
	case "unsupported_grant_type":
		todo = "the endpoint knows no such grant: is the token url right?"
	default:
		switch {
		case status == http.StatusUnauthorized, status == http.StatusForbidden:
			todo = "check the client id and secret"
		case status >= 300 && status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout:
			todo = "check the token url"
		}
	}
	if todo == "" {
		return fmt.Errorf("%s: %s", where, said)
	}
	return &deniedError{fmt.Sprintf("%s: %s; %s (auth of system %q)", where, said, todo, o.system)}
}

// clean bounds what a server says and takes our secrets out of it.
func (o *oauth) clean(s, refresh string) string {
	for _, secret := range append(o.secrets(), refresh) {
		if len(secret) >= shortest {
			s = strings.ReplaceAll(s, secret, redacted)
		}
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}
