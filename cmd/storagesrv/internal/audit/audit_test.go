package audit_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"storagesrv/cmd/storagesrv/internal/audit"
)

func TestRangesOfAListenerAreOnePlayback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out buffer
		log := open(t, audit.Config{Stdout: &out})
		at := time.Now()
		p := begin(t, log, anna, "a", 1000)
		if got := read(t, out.String()); len(got) != 1 {
			t.Fatalf("before the first byte there is %+v", got)
		}
		time.Sleep(time.Hour) // a pause of the player
		p.Took(0, 100)
		p.End(audit.Sent)
		time.Sleep(quiet - time.Second)
		p = begin(t, log, anna, "b", 1000)
		p.Took(900, 50)
		p.Took(950, 50)
		time.Sleep(time.Second)
		p.End(audit.Sent)
		p.End(audit.Cut) // comes too late
		time.Sleep(quiet - time.Millisecond)
		if got := read(t, out.String()); len(got) != 1 {
			t.Fatalf("before it was quiet there is %+v", got)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		began := entry{Time: at, Event: "started", Who: "anna", Via: "forward", Client: "192.0.2.1", CallID: "call-1", FileID: "01", RequestIDs: []string{"a"}}
		ended := began
		ended.Time, ended.Event, ended.Outcome, ended.RequestIDs = at.Add(time.Hour+quiet), "played", "partial", []string{"a", "b"}
		ended.Bytes, ended.Furthest, ended.Duration = new(int64(200)), new(int64(1000)), new((time.Hour + quiet).Milliseconds())
		check(t, out.String(), began, ended)
	})
}

func check(t *testing.T, text string, want ...entry) {
	t.Helper()
	got := read(t, text)
	for i := range got {
		got[i].Time = got[i].Time.UTC()
	}
	for i := range want {
		want[i].Time = want[i].Time.UTC()
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %s\nwant %+v", text, want)
	}
}

func TestAPlaybackEndsWhenItWasQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out buffer
		log := open(t, audit.Config{Stdout: &out})
		for range 3 {
			play(t, log, anna, "a", 0, 1000)
			time.Sleep(quiet + time.Millisecond)
		}
		synctest.Wait()
		if got := count(read(t, out.String())); got["started"] != 3 || got["played"] != 3 {
			t.Errorf("%v", got)
		}
	})
}

func TestListenersThatDifferInAnythingAreTwo(t *testing.T) {
	var out buffer
	log := open(t, audit.Config{Stdout: &out})
	others := []audit.Listener{anna, anna, anna, anna, anna, anna}
	others[1].Who = "bert"
	others[2].Via = "jwt"
	others[3].Client = "192.0.2.2"
	others[4].CallID = "call-2"
	others[5].FileID = "02"
	for range 2 {
		for _, who := range others {
			play(t, log, who, "a", 0, 1)
		}
	}
	log.Close()
	if got := count(read(t, out.String())); got["started"] != len(others) || got["played"] != len(others) {
		t.Errorf("%v", got)
	}
}

func TestOutcomes(t *testing.T) {
	type part struct {
		offset, n int64
		how       audit.Ending
	}
	for name, c := range map[string]struct {
		parts []part
		want  string
	}{
		"all at once":                        {[]part{{0, 1000, audit.Sent}}, "complete"},
		"all, in any order, twice":           {[]part{{500, 500, audit.Sent}, {0, 300, audit.Cut}, {200, 400, audit.Sent}}, "complete"},
		"all, and then a cut":                {[]part{{0, 1000, audit.Sent}, {0, 5, audit.Cut}}, "complete"},
		"a byte is missing at the end":       {[]part{{0, 999, audit.Sent}}, "partial"},
		"a byte is missing at the beginning": {[]part{{1, 999, audit.Sent}}, "partial"},
		"a byte is missing in the middle":    {[]part{{0, 500, audit.Sent}, {501, 499, audit.Sent}}, "partial"},
		"a probe":                            {[]part{{0, 2, audit.Sent}}, "partial"},
		"nothing was taken":                  {[]part{{0, 0, audit.Sent}}, "partial"},
		"cut at the end":                     {[]part{{0, 100, audit.Sent}, {100, 100, audit.Cut}}, "cut"},
		"cut, and gone on":                   {[]part{{0, 100, audit.Cut}, {100, 100, audit.Sent}}, "partial"},
		"sent elsewhere":                     {[]part{{0, 0, audit.Redirected}}, "redirected"},
		"sent elsewhere on the way":          {[]part{{0, 500, audit.Cut}, {0, 0, audit.Redirected}, {500, 10, audit.Sent}}, "redirected"},
	} {
		var out buffer
		log := open(t, audit.Config{Stdout: &out})
		for _, part := range c.parts {
			p := begin(t, log, anna, "a", 1000)
			p.Took(part.offset, part.n)
			p.End(part.how)
		}
		log.Close()
		if got := read(t, out.String()); len(got) != 2 || got[1].Outcome != c.want {
			t.Errorf("%s: %s", name, out.String())
		}
	}
}

func TestACompleteRecordingIsAsLongAsItWasLast(t *testing.T) {
	var out buffer
	log := open(t, audit.Config{Stdout: &out})
	for _, size := range []int64{1000, 1500} { // a call that goes on
		p := begin(t, log, anna, "a", size)
		p.Took(0, 1000)
		p.End(audit.Sent)
	}
	log.Close()
	if got := read(t, out.String()); len(got) != 2 || got[1].Outcome != "partial" || *got[1].Bytes != 2000 || *got[1].Furthest != 1000 {
		t.Errorf("%s", out.String())
	}
}

func TestTheFirstAndLastRequestsAreNamed(t *testing.T) {
	for _, n := range []int{1, 8, 9, 16, 17, 1000} {
		var out buffer
		log := open(t, audit.Config{Stdout: &out})
		var want []string
		for i := range n {
			play(t, log, anna, fmt.Sprint(i), 0, 1)
			if i < 8 || i >= n-8 {
				want = append(want, fmt.Sprint(i))
			}
		}
		log.Close()
		if got := read(t, out.String()); len(got) != 2 || !slices.Equal(got[1].RequestIDs, want) || !slices.Equal(got[0].RequestIDs, want[:1]) {
			t.Errorf("%d requests: %s", n, out.String())
		}
	}
}

func TestARefusalIsALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out buffer
		log := open(t, audit.Config{Stdout: &out})
		log.Refuse(anna, "a", "forbidden")
		synctest.Wait()
		check(t, out.String(), entry{Time: time.Now(), Event: "refused", Who: "anna", Via: "forward", Client: "192.0.2.1",
			CallID: "call-1", FileID: "01", Outcome: "forbidden", RequestIDs: []string{"a"}})
	})
}

func TestStrangersCannotFillTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out buffer
		config := audit.Config{Stdout: &out}
		var counts counts
		counts.watch(&config)
		log := open(t, config)
		stranger := audit.Listener{Client: "192.0.2.9", CallID: "call-1"}
		for range 5000 {
			log.Refuse(stranger, "a", "unauthenticated")
			log.Refuse(anna, "b", "forbidden")
		}
		synctest.Wait()
		who := make(map[string]int)
		for _, e := range read(t, out.String()) {
			who[e.Who]++
		}
		if who["anna"] != 5000 || who[""] != 1000 {
			t.Errorf("%v", who)
		}
		if got, want := counts.String(), "wrote map[refused:6000], dropped map[refused:4000]"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		time.Sleep(time.Minute)
		log.Refuse(stranger, "c", "unauthenticated")
		synctest.Wait()
		if got := read(t, out.String()); got[len(got)-1].RequestIDs[0] != "c" {
			t.Error("a stranger is left out for ever")
		}
	})
}

func TestTenThousandListenersLeaveTenThousandLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := inDir(t)
		log := open(t, audit.Config{File: file})
		const listeners, ranges, atOnce = 10_000, 4, 100
		var all sync.WaitGroup
		for i := range atOnce {
			all.Go(func() {
				for n := range ranges {
					for j := i; j < listeners; j += atOnce {
						who := anna
						who.Client, who.CallID, who.FileID = fmt.Sprintf("192.0.2.%d", j%250), fmt.Sprintf("call-%d", j/2), fmt.Sprint(j%2)
						play(t, log, who, fmt.Sprint(j, n), int64(n)*250, 250)
					}
					time.Sleep(time.Duration(i%20) * time.Second)
				}
			})
		}
		all.Wait()
		time.Sleep(quiet + time.Millisecond)
		synctest.Wait()
		entries := read(t, contents(t, file))
		if got := count(entries); got["started"] != listeners || got["played"] != listeners || len(entries) != 2*listeners {
			t.Errorf("%v", got)
		}
		for _, e := range entries {
			if e.Event == "played" && (e.Outcome != "complete" || *e.Bytes != 1000 || len(e.RequestIDs) != ranges) {
				t.Fatalf("%+v", e)
			}
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out buffer
		log := open(t, audit.Config{Stdout: &out, MaxOpen: 100})
		var running []*audit.Playback // these are bounded by whoever sends
		for i := range 150 {
			running = append(running, begin(t, log, listener(-i-1), "a", 1000))
		}
		for i := range 1000 {
			play(t, log, listener(i), "a", 0, 1000)
		}
		synctest.Wait()
		entries := read(t, out.String())
		if got := count(entries); got["started"] != 1150 || got["played"] < 999 {
			t.Errorf("%v", got)
		}
		for _, p := range running {
			p.Took(0, 1000)
			p.End(audit.Sent)
		}
		time.Sleep(quiet + time.Millisecond)
		synctest.Wait()
		entries = read(t, out.String())
		if got := count(entries); got["started"] != 1150 || got["played"] != 1150 {
			t.Errorf("%v", got)
		}
		if slices.ContainsFunc(entries, func(e entry) bool { return e.Event == "played" && e.Outcome != "complete" }) {
			t.Error("a playback was closed out while it was sent")
		}
	})
}

func TestCloseWritesDownWhoStillListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out buffer
		log := open(t, audit.Config{Stdout: &out})
		play(t, log, anna, "a", 0, 1000)
		bert, carl := anna, anna
		bert.Who, carl.Who = "bert", "carl"
		slow, stuck := begin(t, log, bert, "b", 1000), begin(t, log, carl, "c", 1000)
		slow.Took(0, 100)
		stuck.Took(0, 50)
		time.AfterFunc(100*time.Millisecond, func() { // what is cut takes a moment
			slow.Took(100, 100)
			slow.End(audit.Cut)
		})
		time.Sleep(time.Second / 20)
		if err := log.Close(); err != nil {
			t.Error(err)
		}
		stuck.Took(50, 1) // when the dead mount comes back
		stuck.End(audit.Sent)
		got := make(map[string]string)
		for _, e := range read(t, out.String()) {
			if e.Event == "played" {
				got[e.Who] = fmt.Sprint(e.Outcome, " ", *e.Bytes)
			}
		}
		want := map[string]string{"anna": "complete 1000", "bert": "cut 200", "carl": "cut 50"}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if _, err := log.Begin(t.Context(), anna, "d", 1000); err != nil {
			t.Error(err)
		}
		log.Refuse(anna, "e", "forbidden")
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestNothingIsAuditedWithoutALog(t *testing.T) {
	var log *audit.Log
	p, err := log.Begin(t.Context(), anna, "a", 1000)
	p.Took(0, 1)
	p.End(audit.Sent)
	log.Refuse(anna, "a", "forbidden")
	if err := errors.Join(err, log.Reopen(), log.Close()); err != nil {
		t.Error(err)
	}
}

func TestHostileTextBreaksNoLine(t *testing.T) {
	for _, text := range []string{"\n", "\r\n{}\n", `"}`, `\"`, "\x00\x1b[2J", "\xff\xfe", "\u2028\u2029", "</script>", strings.Repeat("x\n", 1<<20), strings.Repeat("ü", 300)} {
		var out buffer
		log := open(t, audit.Config{Stdout: &out})
		who := audit.Listener{Who: text, Via: text, Client: text, CallID: text, FileID: text}
		play(t, log, who, text, 0, 1)
		log.Refuse(who, text, text)
		log.Close()
		entries := read(t, out.String())
		if len(entries) != 3 || len(out.String()) > 64<<10 {
			t.Errorf("%.20q: %d lines, %d bytes", text, len(entries), len(out.String()))
		}
		if n := strings.Count(out.String(), "\n"); n != 3 || strings.ContainsAny(out.String(), "\r\x00\x1b\u2028") {
			t.Errorf("%.20q: %.300q", text, out.String())
		}
		if got := entries[0].Who; len(text) < 200 && got != strings.ToValidUTF8(text, "\ufffd\ufffd") {
			t.Errorf("%q became %q", text, got)
		}
	}
}
