// Package disk records what a process writes to its files and when it syncs
// them, and makes of it what a disk may hold after the power went: everything
// that was synced, and of the rest any part.
//
// The record is strace's, of the real binary. The process's answers to senders
// are in the same record, so that it tells what had been acknowledged when.
package disk

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Strace is the command line that records what a program does with its files,
// into the file at out. The program runs as a child of the caller, not of
// strace. inject are strace's own expressions (strace(1), "Tampering").
func Strace(out string, inject ...string) []string {
	line := []string{"strace", "-D", "-f", "--seccomp-bpf", "-ttt", "-y", "-s", "1048576", "-e", "signal=none",
		"-e", "trace=write,pwrite64,pwritev,writev,ftruncate,fsync,fdatasync,unlink,unlinkat,rename,renameat2"}
	for _, i := range inject {
		line = append(line, "-e", "inject="+i)
	}
	return append(line, "-o", out)
}

// Kind is what an operation does.
type Kind uint8

const (
	Write Kind = iota
	Truncate
	Sync
	Unlink
	Ack // the first byte of a 2xx to a sender
)

// Op is one system call. It began and ended at places in the order in which the
// kernel told of all calls.
type Op struct {
	Kind         Kind
	Path         string
	Offset       int64 // of a Write; the length, of a Truncate
	Data         []byte
	Began, Ended int       // Ended is -1 where the process was gone before
	At           time.Time // when it began
	Err          string    // ENOSPC, EIO, …; "" if it succeeded
}

// Trace is a record, in the order of Began.
type Trace struct {
	Ops   []*Op
	Lines int // places in it
}

// Read reads a record. Of all files only those whose path begins with one of
// prefixes count.
func Read(file string, prefixes ...string) (*Trace, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t := &reader{prefixes: prefixes, open: map[string]*Op{}, begun: map[string][]byte{}}
	r := bufio.NewReaderSize(f, 1<<20)
	for {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			return &t.Trace, nil // a last line without an end was cut off
		}
		if err != nil {
			return nil, err
		}
		if err := t.line(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			return nil, fmt.Errorf("%s line %d: %w", filepath.Base(file), t.Lines, err)
		}
		t.Lines++
	}
}

type reader struct {
	Trace
	prefixes []string
	open     map[string]*Op    // by thread: begun and not yet ended
	begun    map[string][]byte // likewise, the text
}

// line reads one of strace's lines: a whole call, the first part of one
// ("<unfinished ...>"), or the second ("<... write resumed>").
func (t *reader) line(line []byte) error {
	thread, rest, _ := bytes.Cut(line, []byte(" "))
	stamp, call, ok := bytes.Cut(bytes.TrimLeft(rest, " "), []byte(" "))
	if !ok || len(call) == 0 || call[0] == '+' || call[0] == '-' {
		return nil // a signal, or the end of a thread
	}
	key := string(thread)
	if bytes.HasPrefix(call, []byte("<... ")) {
		if op := t.open[key]; op != nil {
			_, result, _ := bytes.Cut(call, []byte(" resumed>"))
			delete(t.open, key)
			return t.end(op, result)
		}
		return nil
	}
	at, err := seconds(string(stamp))
	if err != nil {
		return fmt.Errorf("time %q: %w", stamp, err)
	}
	call, unfinished := bytes.CutSuffix(call, []byte(" <unfinished ...>"))
	op, err := t.parse(call)
	if op == nil || err != nil {
		return err
	}
	op.At, op.Began, op.Ended = at, t.Lines, -1
	t.Ops = append(t.Ops, op)
	if unfinished {
		t.open[key] = op
		return nil
	}
	result := max(bytes.LastIndex(call, []byte("= ")), 0) // the last: data may hold anything
	return t.end(op, call[result:])
}

func seconds(s string) (time.Time, error) {
	whole, part, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	usec, err := strconv.ParseInt(part, 10, 64)
	return time.Unix(sec, usec*1000), err
}

// end notes the result, "...) = 4096" or "...) = -1 EIO (...) (INJECTED)".
func (t *reader) end(op *Op, result []byte) error {
	op.Ended = t.Lines
	_, value, ok := bytes.Cut(result, []byte("= "))
	if !ok {
		return fmt.Errorf("no result in %.100q", result)
	}
	words := strings.Fields(string(value))
	switch {
	case len(words) == 0:
		return fmt.Errorf("no result in %.100q", result)
	case words[0] == "-1" && len(words) > 1:
		op.Err = words[1]
	case words[0] == "?":
		op.Ended = -1 // the process was gone
	case op.Kind == Write:
		n, err := strconv.Atoi(words[0])
		if err != nil || n > len(op.Data) {
			return fmt.Errorf("wrote %q of %d bytes", words[0], len(op.Data))
		}
		op.Data = op.Data[:n]
	}
	return nil
}

// parse reads the name and the arguments of a call; nil if it is none of those
// that count.
func (t *reader) parse(call []byte) (*Op, error) {
	name, args, _ := strings.Cut(string(call), "(")
	switch name {
	case "write", "pwrite64":
		path, rest, ok := descriptor(args)
		if !ok {
			return nil, nil
		}
		if name == "write" && strings.HasPrefix(path, "socket:") {
			return ack(rest), nil
		}
		if !t.counts(path) {
			return nil, nil
		}
		if name == "write" {
			return nil, fmt.Errorf("a write without an offset to %s", path)
		}
		data, after, err := unquote(rest)
		if err != nil {
			return nil, err
		}
		numbers := strings.Split(strings.TrimPrefix(strings.SplitN(after, ")", 2)[0], ", "), ", ")
		if len(numbers) != 2 {
			return nil, fmt.Errorf("arguments %.100q", after)
		}
		offset, err := strconv.ParseInt(numbers[1], 10, 64)
		return &Op{Kind: Write, Path: path, Offset: offset, Data: data}, err
	case "ftruncate":
		path, rest, ok := descriptor(args)
		if !ok || !t.counts(path) {
			return nil, nil
		}
		length, err := strconv.ParseInt(strings.SplitN(rest, ")", 2)[0], 10, 64)
		return &Op{Kind: Truncate, Path: path, Offset: length}, err
	case "fsync", "fdatasync":
		_, path, _ := strings.Cut(args, "<")
		path, _, _ = strings.Cut(path, ">")
		if !t.counts(path) {
			return nil, nil
		}
		return &Op{Kind: Sync, Path: path}, nil
	case "unlink":
		path, _, err := unquote(args)
		if err != nil || !t.counts(string(path)) {
			return nil, err
		}
		return &Op{Kind: Unlink, Path: string(path)}, nil
	case "pwritev", "writev", "unlinkat", "rename", "renameat2":
		for _, p := range t.prefixes {
			if strings.Contains(args, p) && t.counts(args[strings.Index(args, p):]) {
				return nil, fmt.Errorf("%s of a file of the store is not understood", name)
			}
		}
	}
	return nil, nil
}

// counts leaves out the index of the log, which SQLite makes anew, and the lock.
func (t *reader) counts(path string) bool {
	if strings.HasSuffix(path, "-shm") || strings.HasSuffix(path, ".lock") {
		return false
	}
	for _, p := range t.prefixes {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return false
}

// descriptor reads "21</tmp/seawall.db>, rest".
func descriptor(args string) (path, rest string, ok bool) {
	_, args, ok = strings.Cut(args, "<")
	if !ok {
		return "", "", false
	}
	path, rest, ok = strings.Cut(args, ">, ")
	return path, rest, ok
}

// ack is what is written to a socket, if that is a 2xx with the ids of events.
func ack(text string) *Op {
	data, _, err := unquote(text)
	if err != nil || !bytes.HasPrefix(data, []byte("HTTP/1.1 2")) || !bytes.Contains(data, []byte(`"evt_`)) {
		return nil
	}
	return &Op{Kind: Ack, Data: data}
}

// Events are the ids that an Ack names.
func (o *Op) Events() (ids []string) {
	for text := o.Data; ; {
		i := bytes.Index(text, []byte(`"evt_`))
		if i < 0 {
			return ids
		}
		id, rest, _ := bytes.Cut(text[i+1:], []byte(`"`))
		ids, text = append(ids, string(id)), rest
	}
}

// unquote reads a text in double quotes as strace writes them, and what follows.
func unquote(s string) (data []byte, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		return nil, "", fmt.Errorf("no text in %.100q", s)
	}
	data = make([]byte, 0, min(len(s), 4200))
	for i := 1; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			if strings.HasPrefix(s[i+1:], "...") {
				return nil, "", fmt.Errorf("a text of %d bytes was shortened", len(data))
			}
			return data, s[i+1:], nil
		case '\\':
			i++
			if i == len(s) {
				return nil, "", fmt.Errorf("a text without an end")
			}
			if c = s[i]; c < '0' || c > '7' {
				if at := strings.IndexByte(`fnrtv`, c); at >= 0 {
					c = "\f\n\r\t\v"[at]
				}
				data = append(data, c)
				continue
			}
			n, end := 0, min(i+3, len(s))
			for ; i < end && s[i] >= '0' && s[i] <= '7'; i++ {
				n = n*8 + int(s[i]-'0')
			}
			i--
			data = append(data, byte(n))
		default:
			data = append(data, c)
		}
	}
	return nil, "", fmt.Errorf("a text without an end")
}
