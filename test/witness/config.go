package witness

import (
	"fmt"
	"strings"
)

// Setup is what a gateway is configured with.
type Setup struct {
	Store  string // default: a SQLite file in the gateway's directory
	Sink   string // address of the destination
	Slots  int    // deliveries in flight at once
	Retry  string // of the destination; default: the gateway's own
	Queues int    // destinations that share the events, each with its own lane; 0: one
	More   string // more keys of each destination, after a comma

	// More lines of the file's sections, and more sections.
	Sources, Destinations, Routes, Extra string
}

const head = `store: "%s"
listen: "%s"
admin: { listen: "%s" }
egress: { allow: ["127.0.0.0/8"] }
sources:
  witness: { provider: github, secret: "${WITNESS_SOURCE_SECRET}" }
`

// text is the configuration of a gateway that listens at two addresses.
func (s Setup) text(addr, admin string) string {
	var b strings.Builder
	fmt.Fprintf(&b, head, s.Store, addr, admin)
	more(&b, s.Sources)
	destination := func(name, path string) {
		fmt.Fprintf(&b, "  %s: { url: \"http://%s/%s\", concurrency: %d, retry: {%s}, sign: { secret: \"${WITNESS_SINK_SECRET}\" }%s }\n",
			name, s.Sink, path, s.Slots, s.Retry, s.More)
	}
	b.WriteString("destinations:\n")
	routes := "  - { from: witness, to: sink }\n"
	if s.Queues <= 1 {
		destination("sink", "")
	} else {
		routes = ""
		for i := range s.Queues {
			destination(fmt.Sprintf("sink%d", i), fmt.Sprintf("sink%d", i))
			routes += fmt.Sprintf("  - { from: witness, to: sink%d, when: '.number %% %d == %d' }\n", i, s.Queues, i)
		}
	}
	more(&b, s.Destinations)
	b.WriteString("routes:\n" + routes)
	more(&b, s.Routes)
	more(&b, s.Extra)
	return b.String()
}

func more(b *strings.Builder, lines string) {
	if lines != "" {
		b.WriteString(lines + "\n")
	}
}
