package mount

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A slowFile takes until back is closed to be closed.
type slowFile struct {
	back   <-chan struct{}
	closed *atomic.Int64
}

func (f slowFile) Close() error {
	<-f.back
	f.closed.Add(1)
	return nil
}

// A closing is a closer in a mount of four slots. What is closed there hangs,
// or returns at once.
type closing struct {
	*closer
	back   chan struct{} // closed when nothing hangs any more
	closed atomic.Int64
}

func newClosing() *closing {
	g := newGeneration(0, Config{Timeout: 5 * time.Second, MaxStuck: 4}, newSlots(100))
	return &closing{closer: g.closer, back: make(chan struct{})}
}

func (c *closing) hangs() { c.close(slowFile{c.back, &c.closed}) }

func (c *closing) returns() {
	at := make(chan struct{})
	close(at)
	c.close(slowFile{at, &c.closed})
}

// passes lets time pass by which what hangs is stuck.
func (c *closing) passes() {
	time.Sleep(c.guard.timeout)
	synctest.Wait()
}

// answers makes a call that returns.
func (c *closing) answers(t *testing.T) {
	t.Helper()
	if _, err := guarded(context.Background(), c.guard, "well", func() (int, error) { return 0, nil }, dropped); err != nil {
		t.Error(err)
	}
}

func (c *closing) wants(t *testing.T, when string, closed, stuck int) {
	t.Helper()
	if n := int(c.closed.Load()); n != closed {
		t.Errorf("%s: %d files are closed, want %d", when, n, closed)
	}
	if n := c.guard.slots.sticking(); n != stuck {
		t.Errorf("%s: %d calls are stuck, want %d", when, n, stuck)
	}
}

func TestACloseThatHangsIsPassedWhereTheMountAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClosing()
		for i := range 3 {
			c.hangs()
			c.returns()
			synctest.Wait()
			c.wants(t, "at first", 2*i, i)
			c.answers(t)
			c.passes()
			c.wants(t, "when it is stuck", 2*i+1, i+1)
			c.answers(t)
			c.returns()
			synctest.Wait()
			c.wants(t, "after that", 2*i+2, i+1)
		}
		close(c.back)
		synctest.Wait()
		c.wants(t, "when they are back", 9, 0)
		if len(c.guard.slots.taken) != 0 || c.worker != nil {
			t.Error("something is still at work")
		}
	})
}

func TestClosesInADeadMountHoldOneThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClosing()
		for range 10 {
			c.hangs()
			c.passes()
		}
		c.wants(t, "dead", 0, 1)
		close(c.back)
		synctest.Wait()
		c.wants(t, "when it is back", 10, 0)
	})
}

// The files that wait to be closed are bounded by what may be stuck: then
// nothing is opened any more.
func TestClosesThatHangTakeTheSlotsOfOtherCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClosing()
		for range 6 {
			c.hangs()
			synctest.Wait()
			if len(c.guard.slots.taken) < 4 {
				c.answers(t)
			}
			c.passes()
		}
		c.wants(t, "with all slots stuck", 0, 4)
		if _, err := c.guard.refusal(); err == nil {
			t.Error("not refused")
		}
		close(c.back)
		synctest.Wait()
		c.wants(t, "when they are back", 6, 0)
	})
}
