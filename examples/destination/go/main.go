// Command destination is a consumer of Seawall's deliveries in plain Go: it
// verifies each one, and makes its effect happen once however often it comes.
//
//	DESTINATION_SECRET=whsec_… bin/destination
package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	_ "modernc.org/sqlite" // yours may be any database
)

const maxBody = 5 << 20

func main() {
	key, err := parseSecret(os.Getenv("DESTINATION_SECRET"))
	if err != nil {
		log.Fatal("DESTINATION_SECRET: ", err)
	}
	db, err := open("destination.db")
	if err != nil {
		log.Fatal(err)
	}
	log.Print("listening on 127.0.0.1:9000")
	log.Fatal(http.ListenAndServe("127.0.0.1:9000", hooks(key, db, time.Now)))
}

func open(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return nil, err
	}
	_, err = db.Exec(`
		CREATE TABLE IF NOT EXISTS seen   (id TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID;
		CREATE TABLE IF NOT EXISTS pushes (ref TEXT PRIMARY KEY, n INTEGER NOT NULL);`)
	return db, err
}

// hooks takes deliveries. A 2xx means done; 410 would mean "never again";
// anything else makes Seawall try again later.
func hooks(key []byte, db *sql.DB, now func() time.Time) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, "body", http.StatusBadRequest)
			return
		}
		if err := verify(key, r.Header, body, now()); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		if err := handle(db, r.Header.Get("webhook-id"), body, now()); err != nil {
			log.Print(err)
			http.Error(w, "try again", http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// handle makes the effect and notes the delivery's id in one transaction. Of a
// repetition, after a crash or a lost answer, the note is already there.
func handle(db *sql.DB, id string, body []byte, now time.Time) error {
	var push struct {
		Ref string `json:"ref"`
	}
	if err := json.Unmarshal(body, &push); err != nil {
		return fmt.Errorf("read %s: %w", id, err)
	}

	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()

	noted, err := tx.Exec(`INSERT INTO seen (id, at) VALUES (?, ?) ON CONFLICT DO NOTHING`, id, now.UTC().Format(time.RFC3339))
	if err != nil {
		return err
	}
	if n, err := noted.RowsAffected(); err != nil || n == 0 {
		return err // seen before: nothing to do
	}
	// The effect.
	if _, err := tx.Exec(`INSERT INTO pushes (ref, n) VALUES (?, 1) ON CONFLICT (ref) DO UPDATE SET n = n + 1`, push.Ref); err != nil {
		return err
	}
	return tx.Commit()
}
