package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// slow is longer than anybody waits.
const slow = 900 * time.Millisecond

// record is one in a system.
type record struct {
	ID, Email, Name, User string
	made                  time.Time
}

// system is a CRM or a mailing list of one side. Of what it is asked to create and to
// change it answers some in time only: it does the work, and is slow to say so.
type system struct {
	list    bool          // a mailing list: an email that is there is a conflict
	behind  time.Duration // of its search
	mu      sync.Mutex
	dice    *rand.Rand
	records []*record
	last    time.Time // that it was asked
}

func newSystem(list bool, seed uint64, there []*record) *system {
	s := &system{list: list, dice: rand.New(rand.NewPCG(seed, 7)), last: time.Now()}
	if !list {
		s.behind = time.Second
	}
	for _, r := range there {
		own := *r
		s.records = append(s.records, &own)
	}
	return s
}

func (s *system) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Email, Name string
		User        string `json:"user_id"`
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	s.last = time.Now()
	status, answer := http.StatusOK, any(nil)
	_, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	late := r.Method != http.MethodGet && s.dice.IntN(3) == 0
	switch r.Method {
	case http.MethodGet:
		status, answer = s.search(id, r.URL.Query().Get("email"))
	case http.MethodPost:
		if s.list && s.find(func(k *record) bool { return k.Email == in.Email }) != nil {
			status = http.StatusConflict
			break
		}
		k := &record{ID: fmt.Sprint(len(s.records) + 1), Email: in.Email, Name: in.Name, User: in.User, made: time.Now()}
		s.records = append(s.records, k)
		status, answer = http.StatusCreated, k.shown(s.list)
	default:
		k := s.find(func(k *record) bool { return k.ID == id })
		if k == nil {
			status = http.StatusNotFound
			break
		}
		k.Email, k.Name, k.User = in.Email, in.Name, in.User
		answer = k.shown(s.list)
	}
	s.mu.Unlock()
	if late {
		time.Sleep(slow)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// search is by the email: of a list in the path, of a CRM in the query.
func (s *system) search(id, email string) (int, any) {
	if s.list {
		if k := s.find(func(k *record) bool { return k.Email == id }); k != nil {
			return http.StatusOK, k.shown(true)
		}
		return http.StatusNotFound, nil
	}
	results := []any{}
	for _, k := range s.records {
		if k.Email == email && time.Since(k.made) > s.behind {
			results = append(results, k.shown(false))
		}
	}
	return http.StatusOK, map[string]any{"results": results}
}

func (s *system) find(is func(*record) bool) *record {
	for _, k := range s.records {
		if is(k) {
			return k
		}
	}
	return nil
}

func (r *record) shown(list bool) any {
	if list {
		return map[string]any{"member": r.ID, "email": r.Email, "name": r.Name}
	}
	shown := map[string]any{"id": r.ID, "email": r.Email, "name": r.Name, "user_id": nil}
	if r.User != "" {
		shown["user_id"] = r.User
	}
	return shown
}

// count holds what is there beside what there should be: of how many users there are
// several records, of how many none is as the user is now.
func (s *system) count(users []*user) (records, double, wrong int, quiet time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range users {
		n, right := 0, 0
		for _, r := range s.records {
			if r.Email == u.Email {
				n++
				if r.Name == u.name(u.versions) {
					right++
				}
			}
		}
		records += n
		if n > 1 {
			double++
		}
		if right == 0 || right < n {
			wrong++
		}
	}
	return records, double, wrong, time.Since(s.last)
}
