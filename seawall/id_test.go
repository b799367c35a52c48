package seawall

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestEventIDIsAUUIDv7(t *testing.T) {
	now := time.Date(2026, 11, 24, 1, 2, 3, 456e6, time.UTC)
	id := NewEventID(now, rand.Reader)
	if id[6]>>4 != 7 || id[8]>>6 != 2 {
		t.Errorf("version %x, variant %b", id[6]>>4, id[8]>>6)
	}
	if !id.Time().Equal(now) {
		t.Errorf("time %v, want %v", id.Time(), now)
	}
	if DeliveryID(id).N() != 0 {
		t.Error("an event id carries a delivery number")
	}
}

func TestIDsSortByTime(t *testing.T) {
	now := time.Date(2026, 11, 24, 1, 2, 3, 0, time.UTC)
	last := ""
	for i := range 100 {
		s := NewEventID(now.Add(time.Duration(i)*time.Millisecond), rand.Reader).String()
		if s <= last {
			t.Fatalf("%s does not sort after %s", s, last)
		}
		last = s
	}
}

func TestDeliveryIDLeadsToItsEvent(t *testing.T) {
	id := NewEventID(time.Now(), rand.Reader)
	for _, n := range []int{1, 2, 999, MaxDeliveries} {
		d := id.Delivery(n)
		if d.Event() != id || d.N() != n {
			t.Errorf("delivery %d: event %v, number %d", n, d.Event(), d.N())
		}
		if !strings.HasPrefix(d.String()[4:], id.String()[4:27]) {
			t.Errorf("%v and %v do not look alike", id, d)
		}
		back, err := ParseDeliveryID(d.String())
		if err != nil || back != d {
			t.Errorf("%v came back as %v: %v", d, back, err)
		}
	}
}

func TestDeliveryNumberOutOfRangePanics(t *testing.T) {
	for _, n := range []int{0, -1, MaxDeliveries + 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("number %d was taken", n)
				}
			}()
			EventID{}.Delivery(n)
		}()
	}
}

func TestBadIDsAreRefused(t *testing.T) {
	good := NewEventID(time.Now(), rand.Reader)
	for _, s := range []string{
		"", "evt_", "evt_short", strings.ToUpper(good.String()), good.String() + "0", "dlv_" + good.String()[4:],
		"evt_8zzzzzzzzzzzzzzzzzzzzzzzzz", "evt_" + strings.Repeat("u", 26), good.Delivery(3).String(),
	} {
		if _, err := ParseEventID(s); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseEventID(%q): %v", s, err)
		}
	}
	if _, err := ParseDeliveryID("dlv_" + good.String()[4:]); !errors.Is(err, ErrInvalid) {
		t.Errorf("a delivery id without a number: %v", err)
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("evt_01kbxw0000000000000000r000")
	f.Add("dlv_01kbxw0000000000000000r001")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseEventID(s); err == nil && id.String() != s {
			t.Errorf("%q came back as %q", s, id)
		}
		if id, err := ParseDeliveryID(s); err == nil && id.String() != s {
			t.Errorf("%q came back as %q", s, id)
		}
	})
}

func TestNoRandomnessNoID(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an id was made without randomness")
		}
	}()
	NewEventID(time.Now(), bytes.NewReader(nil))
}
