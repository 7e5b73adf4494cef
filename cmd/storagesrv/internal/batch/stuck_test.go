package batch_test

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"storagesrv/cmd/storagesrv/internal/batch"
)

// told is a line that says how many were dropped.
func told(lines int) []byte { return fmt.Appendf(nil, "%d dropped\n", lines) }

// fill writes numbered lines of 1 kB, and returns how long it was held up at most
// by one, and in all.
func fill(w io.Writer, from, to int) (longest, all time.Duration) {
	for i := from; i < to; i++ {
		start := time.Now()
		fmt.Fprintf(w, "%d %0999d\n", i, 0)
		longest = max(longest, time.Since(start))
		all += time.Since(start)
	}
	return longest, all
}

func TestAStuckOutputHoldsNobodyUpForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newOutput(false)
		w := batch.NewWriter(out, told)
		if longest, all := fill(w, 0, 1000); longest > 2*time.Second || all > 2*time.Second {
			t.Errorf("held up for %v at most, %v in all", longest, all)
		}
		close(out.gate)
		synctest.Wait()
		fill(w, 1000, 1010)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		text, _ := out.got()
		kept := 0
		for kept < 1000 && strings.Contains(text, fmt.Sprintf("\n%d 0", kept+1)) {
			kept++
		}
		kept++ // the first has no newline before it
		want := ""
		for i := range kept {
			want += fmt.Sprintf("%d %0999d\n", i, 0)
		}
		want += string(told(1000 - kept)) // where they are missing
		for i := 1000; i < 1010; i++ {
			want += fmt.Sprintf("%d %0999d\n", i, 0)
		}
		if kept < 64 || kept > 150 || text != want {
			t.Errorf("%d lines were kept; what is written is not those, and how many are missing", kept)
		}
	})
}

// An output that is slow, and does move, loses nothing.
func TestASlowOutputLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newOutput(true)
		w := batch.NewWriter(slow{out}, told)
		fill(w, 0, 1000)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if text, _ := out.got(); strings.Count(text, "\n") != 1000 || strings.Contains(text, "dropped") {
			t.Errorf("%d lines", strings.Count(text, "\n"))
		}
	})
}

// It does not either when more come at once than it takes in the time that one
// waits for an output that takes nothing.
func TestASlowOutputLosesNothingOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newOutput(true)
		w := batch.NewWriter(slow{out}, told)
		var all sync.WaitGroup
		for i := range 400 {
			all.Go(func() {
				if _, err := fmt.Fprintf(w, "%d %0999d\n", i, 0); err != nil {
					t.Error(i, err)
				}
			})
		}
		all.Wait()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if text, _ := out.got(); strings.Count(text, "\n") != 400 || strings.Contains(text, "dropped") {
			t.Errorf("%d lines", strings.Count(text, "\n"))
		}
	})
}

type slow struct{ io.Writer }

func (s slow) Write(p []byte) (int, error) {
	time.Sleep(500 * time.Millisecond)
	return s.Writer.Write(p)
}

// What is written after Close, as by a goroutine that goes on, does not keep a
// program from ending either.
func TestAStuckOutputHoldsUpNobodyAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newOutput(false)
		w := batch.NewWriter(out, told)
		fill(w, 0, 1)
		w.Close()
		start := time.Now()
		if _, err := io.WriteString(w, "late\n"); err != batch.ErrStuck || time.Since(start) > time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		close(out.gate) // or its goroutine would be left
	})
}
