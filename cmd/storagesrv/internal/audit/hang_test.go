package audit_test

import (
	"errors"
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
		log := openAsIs(t, audit.Config{Stdout: pipe, Required: true})
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
		log := openAsIs(t, config)
		start := time.Now()
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
		log := openAsIs(t, config)
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

// Whose beginning found no room does not wait for it to be written, ever.
func TestABeginningWithoutRoomIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := newPipe()
		config := audit.Config{Stdout: pipe}
		var counts counts
		counts.watch(&config)
		log := openAsIs(t, config)
		defer pipe.release()
		for counts.dropped["refused"] == 0 {
			log.Refuse(anna, "a", "") // is as long as a beginning
		}
		p := begin(t, log, anna, "a", 1000)
		if counts.dropped["started"] != 1 {
			t.Fatalf("this proves nothing: %s", &counts)
		}
		pipe.release()
		synctest.Wait()
		failed := counts.failed.Load()
		start := time.Now()
		for range 3 {
			play(t, log, anna, "b", 0, 1000)
		}
		p.End(audit.Sent)
		if took := time.Since(start); took > 0 || counts.failed.Load() != failed {
			t.Errorf("waited for %v, and counted %d failures", took, counts.failed.Load()-failed)
		}
		time.Sleep(quiet + time.Second)
		synctest.Wait()
		if n := strings.Count(pipe.String(), `"event":"played"`); n != 1 {
			t.Errorf("%d played", n)
		}
	})
}

// A line that says that somebody began who was refused is not left for later; all
// others are.
func TestADiskThatHangsKeepsWhatIsTrueForLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := newPipe()
		log := openAsIs(t, audit.Config{Stdout: pipe, Required: true})
		defer pipe.release()
		bert, carl := anna, anna
		bert.Who, carl.Who = "bert", "carl"
		for _, who := range []audit.Listener{anna, bert} { // with anna it begins to hang
			if _, err := log.Begin(t.Context(), who, "a", 1000); !errors.Is(err, audit.ErrUnavailable) {
				t.Errorf("%s: %v", who.Who, err)
			}
		}
		log.Refuse(carl, "b", "forbidden")
		pipe.release()
		synctest.Wait()
		got := make(map[string]bool)
		for _, e := range read(t, pipe.String()) {
			got[e.Event+" "+e.Who] = true
		}
		if got["started bert"] || !got["refused carl"] {
			t.Errorf("%v", got)
		}
	})
}

// What the file does not take in the end is in the log, so that it is not lost.
func TestCloseDoesNotWaitForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := newPipe()
		var text buffer
		log := openAsIs(t, audit.Config{Stdout: pipe, Log: slog.New(slog.NewJSONHandler(&text, nil))})
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

// A failing is standard output that takes a part of what it is given, until it
// is mended.
type failing struct {
	buffer
	part   func(size int) int
	mended atomic.Bool
}

func (f *failing) Write(p []byte) (int, error) {
	if f.mended.Load() {
		return f.buffer.Write(p)
	}
	n, _ := f.buffer.Write(p[:f.part(len(p))])
	return n, errors.New("the rest does not fit")
}

func TestALineThatWasTornIsWrittenAgain(t *testing.T) {
	for name, part := range map[string]func(int) int{
		"nothing":           func(int) int { return 0 },
		"a byte":            func(int) int { return 1 },
		"half":              func(size int) int { return size / 2 },
		"all but two bytes": func(size int) int { return size - 2 },
		"all but a newline": func(size int) int { return size - 1 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out := &failing{part: part}
				log := open(t, audit.Config{Stdout: out})
				for i := range 5 {
					log.Refuse(listener(i), "a", "forbidden")
					synctest.Wait()
				}
				out.mended.Store(true)
				log.Refuse(listener(5), "a", "forbidden")
				time.Sleep(5 * time.Second) // it is tried again
				synctest.Wait()
				lines, torn := wholeLines(t, out.String())
				for line, n := range lines {
					if n != 1 {
						t.Errorf("%s stands there %d times", line, n)
					}
				}
				if len(lines) != 6 || torn == 0 && strings.HasPrefix(name, "half") {
					t.Errorf("%d lines, %d torn: %s", len(lines), torn, out.String())
				}
			})
		})
	}
}
