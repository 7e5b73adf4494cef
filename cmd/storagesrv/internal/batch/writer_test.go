package batch_test

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"storagesrv/cmd/storagesrv/internal/batch"
)

// An output keeps what it is given, once its gate is open.
type output struct {
	gate chan struct{} // closed: open

	mu     sync.Mutex
	text   bytes.Buffer // guarded by mu
	writes int          // guarded by mu
}

func newOutput(open bool) *output {
	o := &output{gate: make(chan struct{})}
	if open {
		close(o.gate)
	}
	return o
}

func (o *output) Write(p []byte) (int, error) {
	<-o.gate
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writes++
	return o.text.Write(p)
}

func (o *output) got() (text string, writes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.writes
}

func TestManyPiecesAreOneWriteWithinATenthOfASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newOutput(true)
		w := batch.NewWriter(out, told)
		defer w.Close()
		for round := 1; round <= 3; round++ {
			for range 100 {
				io.WriteString(w, "a line\n")
			}
			time.Sleep(99 * time.Millisecond)
			synctest.Wait()
			if _, writes := out.got(); writes != round-1 {
				t.Errorf("%d writes before the time", writes)
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if text, writes := out.got(); text != strings.Repeat("a line\n", 100*round) || writes != round {
				t.Errorf("%d bytes in %d writes", len(text), writes)
			}
		}
	})
}

func TestAWarningDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newOutput(true)
		w := batch.NewWriter(out, told)
		defer w.Close()
		log := slog.New(batch.Urgent(slog.NewTextHandler(w, nil), w, slog.LevelWarn)).With("a", 1).WithGroup("g")
		log.Info("first")
		synctest.Wait()
		if text, _ := out.got(); text != "" {
			t.Errorf("an ordinary record did not wait: %q", text)
		}
		log.Warn("second")
		synctest.Wait()
		if text, writes := out.got(); !strings.Contains(text, "first") || !strings.Contains(text, "second") || writes != 1 {
			t.Errorf("%d writes: %q", writes, text)
		}
	})
}

func TestCloseWritesWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newOutput(true)
		w := batch.NewWriter(out, told)
		io.WriteString(w, "before\n")
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		io.WriteString(w, "after\n")
		w.Close()
		if text, _ := out.got(); text != "before\nafter\n" {
			t.Errorf("got %q", text)
		}
	})
}

func TestAnOutputThatIsStuckDoesNotKeepCloseWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newOutput(false)
		w := batch.NewWriter(out, told)
		io.WriteString(w, "a line\n")
		start := time.Now()
		if err := w.Close(); err != batch.ErrStuck || time.Since(start) > 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		close(out.gate) // or its goroutine would be left
	})
}

func TestAnErrorOfTheOutputIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, out := io.Pipe()
		r.CloseWithError(io.ErrClosedPipe)
		w := batch.NewWriter(out, told)
		io.WriteString(w, "lost\n")
		if err := w.Close(); err != io.ErrClosedPipe {
			t.Errorf("got %v", err)
		}
	})
}
