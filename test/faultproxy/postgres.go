package faultproxy

import (
	"bytes"
	"encoding/binary"
)

// LoseReply has the proxy pass a transaction on to PostgreSQL, wait until the
// server has ended it, and reset the connection instead of passing the reply
// on. lose is asked for each transaction with the SQL of its statements; nil
// asks no more. It may be called by several connections at once. Connections
// must be made in plain text, and be made after the first call.
func (p *Proxy) LoseReply(lose func(sql []string) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose, p.follows = lose, true
}

// Lost counts the replies that were lost so.
func (p *Proxy) Lost() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

// ask looks at what the client sends.
func (l *link) ask(data []byte) []byte {
	if !l.follows {
		return data
	}
	l.proxy.mu.Lock()
	lose := l.proxy.lose
	l.proxy.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, sql := range l.asked.read(data) {
		if lose != nil && lose(sql) {
			l.deaf = true
		}
	}
	return data
}

// answer looks at what the server says. Once the client is deaf it hears
// nothing more of it, and the link ends with the server's transaction.
func (l *link) answer(data []byte) []byte {
	if !l.follows {
		return data
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	ready := l.answered.read(data)
	if !l.deaf {
		return data
	}
	if ready {
		l.proxy.mu.Lock()
		l.proxy.lost++
		l.proxy.mu.Unlock()
		l.reset()
	}
	return nil
}

// message is one of PostgreSQL's protocol (its documentation, chapter 55): a
// letter, a length that counts itself, and that much.
type message struct {
	kind byte
	body []byte
}

// messages cuts a stream into them.
type messages struct{ rest []byte }

func (m *messages) next() (message, bool) {
	if len(m.rest) < 5 {
		return message{}, false
	}
	end := 1 + int(binary.BigEndian.Uint32(m.rest[1:]))
	if len(m.rest) < end {
		return message{}, false
	}
	msg := message{m.rest[0], m.rest[5:end]}
	m.rest = m.rest[end:]
	return msg, true
}

// requests follows what a client asks for.
type requests struct {
	messages
	started  bool
	prepared map[string]string // name → SQL
	portals  map[string]string
	sql      []string // executed since the last transaction's end
}

// read returns, for each transaction that data completes, its statements.
func (r *requests) read(data []byte) (done [][]string) {
	r.rest = append(r.rest, data...)
	if !r.started { // the first message has no letter
		if len(r.rest) < 4 || len(r.rest) < int(binary.BigEndian.Uint32(r.rest)) {
			return nil
		}
		r.rest = r.rest[binary.BigEndian.Uint32(r.rest):]
		r.started, r.prepared, r.portals = true, map[string]string{}, map[string]string{}
	}
	for {
		m, ok := r.next()
		if !ok {
			return done
		}
		switch m.kind {
		case 'Q':
			done = append(done, []string{text(&m.body)})
		case 'P':
			name := text(&m.body)
			r.prepared[name] = text(&m.body)
		case 'B':
			portal := text(&m.body)
			r.portals[portal] = r.prepared[text(&m.body)]
		case 'E':
			r.sql = append(r.sql, r.portals[text(&m.body)])
		case 'S':
			if len(r.sql) > 0 {
				done = append(done, r.sql)
			}
			r.sql = nil
		}
	}
}

// text takes a string that ends with a zero byte.
func text(b *[]byte) string {
	s, rest, _ := bytes.Cut(*b, []byte{0})
	*b = rest
	return string(s)
}

// replies follows what a server says.
type replies struct{ messages }

// read tells whether data completes a transaction: ReadyForQuery.
func (r *replies) read(data []byte) (ready bool) {
	r.rest = append(r.rest, data...)
	for {
		m, ok := r.next()
		if !ok {
			return ready
		}
		ready = ready || m.kind == 'Z'
	}
}
