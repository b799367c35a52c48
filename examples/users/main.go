// Command users plays the world around a gateway: an auth provider whose events come
// twice and in any order, a CRM and a mailing list that are slow to answer and whose
// search is behind. The same events go to a gateway and to an integration that was
// written without one; a table says what each made of them.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seawall-dev/seawall/examples/provider"
)

// user is one of the auth provider's: version n of it has the n-th name.
type user struct {
	userForm
	versions int
}

type userForm struct {
	ID      string `json:"id"`
	Version int    `json:"version"`
	Email   string `json:"email"`
	Name    string `json:"name"`
}

func (u *user) name(version int) string { return fmt.Sprintf("%s, version %d", u.ID, version) }

// event is what the provider sends.
type event struct {
	ID   string   `json:"id"`
	Type string   `json:"type"`
	User userForm `json:"user"`
}

func main() {
	log.SetFlags(0)
	listen := flag.String("listen", "127.0.0.1:9000", "where the systems answer")
	gateway := flag.String("gateway", "http://127.0.0.1:8080/in/auth", "where the gateway takes the provider's events")
	count := flag.Int("users", 30, "how many users there are")
	seed := flag.Uint64("seed", rand.Uint64(), "of everything random")
	most := flag.Duration("for", 2*time.Minute, "how long the gateway may take")
	flag.Parse()
	fmt.Printf("seed %d\n", *seed)

	users := make([]*user, *count)
	by := map[string]*user{}
	var there []*record // the CRM knows some of them already, though not whose they are
	for i := range users {
		u := &user{versions: 4}
		u.ID, u.Email = fmt.Sprint("u", i+1), fmt.Sprintf("u%d@example.com", i+1)
		users[i], by[u.ID] = u, u
		if i%5 == 0 {
			there = append(there, &record{ID: fmt.Sprint("old-", i+1), Email: u.Email, Name: "from last year"})
		}
	}
	sides := map[string][2]*system{}
	mux := http.NewServeMux()
	for _, side := range []string{"seawall", "direct"} {
		crm, list := newSystem(false, *seed, there), newSystem(true, *seed, nil)
		sides[side] = [2]*system{crm, list}
		mux.Handle("/"+side+"/crm/", http.StripPrefix("/"+side+"/crm", crm))
		mux.Handle("/"+side+"/list/", http.StripPrefix("/"+side+"/list", list))
	}
	mux.HandleFunc("/auth/users/{id}", func(w http.ResponseWriter, r *http.Request) {
		u := by[r.PathValue("id")]
		if u == nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(userForm{u.ID, u.versions, u.Email, u.name(u.versions)})
	})
	mux.Handle("/direct/in", newDirect("http://"+*listen))
	at, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(at, mux)) }()

	send(users, *seed, *gateway, "http://"+*listen+"/direct/in")
	settled := settle(users, sides["seawall"], *most)

	fmt.Println()
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tusers\tcontacts\tdouble\twrong\tmembers\tdouble\twrong\t")
	bad := 0
	for _, side := range []string{"seawall", "direct"} {
		cells := []string{side, strconv.Itoa(len(users))}
		for _, s := range sides[side] {
			n, double, wrong, _ := s.count(users)
			cells = append(cells, strconv.Itoa(n), strconv.Itoa(double), strconv.Itoa(wrong))
			if side == "seawall" {
				bad += double + wrong
			}
		}
		fmt.Fprintln(table, strings.Join(cells, "\t")+"\t")
	}
	table.Flush()
	if bad > 0 || !settled {
		fmt.Println("\nthe gateway did not bring it in order")
		os.Exit(1)
	}
}

// send has the provider send what happened: each event once or twice, in any order,
// many at a time, and again when it was not taken.
func send(users []*user, seed uint64, to ...string) {
	dice := rand.New(rand.NewPCG(seed, 1))
	var events []event
	for _, u := range users {
		for v := 1; v <= u.versions; v++ {
			kind := "user.updated"
			if v == 1 {
				kind = "user.created"
			}
			e := event{fmt.Sprintf("evt_%s_%d", u.ID, v), kind, userForm{u.ID, v, u.Email, u.name(v)}}
			for range 1 + dice.IntN(2) {
				events = append(events, e)
			}
		}
	}
	dice.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	fmt.Printf("%d events, many of them twice, go to each side\n", len(events))
	provider.Send(events, to...)
}

// settle waits until a side has what it should, and asks for nothing more.
func settle(users []*user, side [2]*system, most time.Duration) bool {
	const calm = 4 * time.Second // longer than a search is behind
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		done := true
		for _, s := range side {
			_, _, wrong, quiet := s.count(users)
			done = done && wrong == 0 && quiet > calm
		}
		if done {
			return true
		}
	}
	return false
}
