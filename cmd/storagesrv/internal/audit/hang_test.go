package audit_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"storagesrv/cmd/storagesrv/internal/audit"
)

// A pipe is standard output that nobody reads, until it is released.
type pipe struct {
	buffer
	waiting  chan struct{} // receives when a write hangs
	released chan struct{}
	once     sync.Once
}

func newPipe() *pipe { return &pipe{waiting: make(chan struct{}, 1), released: make(chan struct{})} }

func (p *pipe) release() { p.once.Do(func() { close(p.released) }) }

func (p *pipe) Write(b []byte) (int, error) {
	select {
	case p.waiting <- struct{}{}:
	default:
	}
	<-p.released
	return p.buffer.Write(b)
}

func TestADiskThatHangsRefusesWhenItIsRequired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := newPipe()
		log := open(t, audit.Config{Stdout: pipe, Required: true})
		defer pipe.release()
		bert := anna
		bert.Who = "bert"
		for i, who := range []audit.Listener{anna, anna, bert, bert} {
			start := time.Now()
			_, err := log.Begin(t.Context(), who, "a", 1000)
			if took := time.Since(start); !errors.Is(err, audit.ErrUnavailable) || i == 0 && took > 10*time.Second || i > 0 && took > time.Second {
				t.Errorf("%d: after %v: %v", i, took, err)
			}
		}
		pipe.release()
		synctest.Wait()
		play(t, log, anna, "b", 0, 1000)
		play(t, log, bert, "b", 0, 1000)
		time.Sleep(quiet + time.Second)
		synctest.Wait()
		if got := count(read(t, pipe.String())); got["started"] != 2 || got["played"] != 2 {
			t.Errorf("%s", pipe.String())
		}
	})
}

func TestADiskThatHangsIsNotWaitedForWhenItIsNotRequired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := newPipe()
		config := audit.Config{Stdout: pipe}
		var counts counts
		counts.watch(&config)
		log := open(t, config)
		start := time.Now()
		listener := func(i int) audit.Listener {
			who := anna
			who.CallID = fmt.Sprint(i)
			return who
		}
		for i := range 100 {
			play(t, log, listener(i), "a", 0, 1000)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("waited for %v", took)
		}
		if counts.failed.Load() == 0 {
			t.Error("it is not counted")
		}
		pipe.release()
		time.Sleep(quiet + time.Second)
		synctest.Wait()
		if got := count(read(t, pipe.String())); got["started"] != 100 || got["played"] != 100 {
			t.Errorf("%v", got)
		}
	})
}

func TestWhatWaitsToBeWrittenIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := newPipe()
		config := audit.Config{Stdout: pipe}
		var counts counts
		counts.watch(&config)
		log := open(t, config)
		defer pipe.release()
		who := anna
		who.Who, who.FileID = strings.Repeat("\x01", 256), strings.Repeat("\x01", 256)
		const refusals = 5000 // of 4 KiB each
		for range refusals {
			log.Refuse(who, strings.Repeat("\x01", 256), "forbidden")
		}
		play(t, log, anna, "a", 0, 1000) // has no room for its beginning, and is not kept from it
		pipe.release()
		time.Sleep(quiet + time.Second)
		synctest.Wait()
		text := pipe.String()
		written := strings.Count(text, `"event":"refused"`)
		if strings.Count(text, `"event":"played"`) != 1 || written == refusals || len(text) > 20<<20 {
			t.Errorf("%d bytes; %s", len(text), &counts)
		}
		if counts.dropped["refused"] != refusals-written {
			t.Errorf("%d refusals; %s", written, &counts)
		}
	})
}

// What the file does not take in the end is in the log, so that it is not lost.
func TestCloseDoesNotWaitForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := newPipe()
		var text buffer
		log := open(t, audit.Config{Stdout: pipe, Log: slog.New(slog.NewJSONHandler(&text, nil))})
		play(t, log, anna, "a", 0, 1000)
		start := time.Now()
		if err := log.Close(); err == nil {
			t.Error("no error")
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
		if got := text.String(); strings.Count(got, `\"event\":\"started\"`) != 1 || strings.Count(got, `\"event\":\"played\"`) != 1 {
			t.Errorf("%s", got)
		}
		pipe.release()
	})
}

// A failing is standard output that takes half of what it is given, until it is
// mended.
type failing struct {
	buffer
	mended atomic.Bool
}

func (f *failing) Write(p []byte) (int, error) {
	if f.mended.Load() {
		return f.buffer.Write(p)
	}
	n, _ := f.buffer.Write(p[:len(p)/2])
	return n, errors.New("the other half does not fit")
}

func TestALineThatWasTornIsWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &failing{}
		log := open(t, audit.Config{Stdout: out})
		for i := range 5 {
			who := anna
			who.CallID = fmt.Sprint(i)
			log.Refuse(who, "a", "forbidden")
		}
		synctest.Wait()
		out.mended.Store(true)
		time.Sleep(5 * time.Second) // it is tried again
		synctest.Wait()
		var whole strings.Builder
		torn := 0
		for line := range strings.Lines(out.String()) {
			if strings.HasSuffix(line, "}\n") {
				whole.WriteString(line)
			} else {
				torn++
			}
		}
		seen := make(map[string]bool)
		for _, e := range read(t, whole.String()) {
			if seen[e.CallID] {
				t.Errorf("twice: %s", e.CallID)
			}
			seen[e.CallID] = true
		}
		if len(seen) != 5 || torn == 0 {
			t.Errorf("%d lines, %d torn: %s", len(seen), torn, out.String())
		}
	})
}
