package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

func TestEffectHappensOnce(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	now := time.Unix(1_795_400_000, 0)
	db, err := open(filepath.Join(t.TempDir(), "destination.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	handler := hooks(key, db, func() time.Time { return now })

	body := []byte(`{"ref":"refs/heads/main"}`)
	signed := sign(key, "dlv_1", now, body)
	stale := sign(key, "dlv_1", now.Add(-time.Hour), body)
	forged := sign(key, "dlv_2", now, body)
	forged.Set("webhook-id", "dlv_3")
	rotated := sign(key, "dlv_4", now, body)
	rotated.Set("webhook-signature", "v1,AAAA "+rotated.Get("webhook-signature"))

	for _, step := range []struct {
		what   string
		header http.Header
		status int
		pushes int
	}{
		{"unsigned", http.Header{}, 401, 0},
		{"first", signed, 204, 1},
		{"repeated", signed, 204, 1},
		{"signed an hour ago", stale, 401, 1},
		{"another id than was signed", forged, 401, 1},
		{"second of two signatures", rotated, 204, 2},
	} {
		r := httptest.NewRequest("POST", "/hooks", bytes.NewReader(body))
		r.Header = step.header
		w := httptest.NewRecorder()
		handler(w, r)
		if w.Code != step.status {
			t.Errorf("%s: status %d, want %d: %s", step.what, w.Code, step.status, w.Body)
		}
		var n int
		if err := db.QueryRow(`SELECT coalesce(sum(n), 0) FROM pushes`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n != step.pushes {
			t.Errorf("%s: %d pushes counted, want %d", step.what, n, step.pushes)
		}
	}
}

func sign(key []byte, id string, at time.Time, body []byte) http.Header {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "." + string(body)))
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", timestamp)
	h.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return h
}
