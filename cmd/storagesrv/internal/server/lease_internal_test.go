package server

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

type leaseKey struct{}

// A lease ends alike whether somebody waits for its end, or only asks.
func TestLeaseEnds(t *testing.T) {
	type test struct {
		name       string
		end        func(*lease, context.CancelFunc)
		is, caused error
		waits      bool
	}
	giveBack := func(l *lease, _ context.CancelFunc) { l.giveBack() }
	endRequest := func(_ *lease, end context.CancelFunc) { end() }
	for _, test := range []test{
		{"given back", giveBack, context.Canceled, context.Canceled, true},
		{"given back, and nobody waits", giveBack, context.Canceled, context.Canceled, false},
		{"the request ends", endRequest, context.Canceled, context.Canceled, true},
		{"the request ends, and nobody waits", endRequest, context.Canceled, context.Canceled, false},
		{"late", func(*lease, context.CancelFunc) { time.Sleep(time.Second) }, context.Canceled, context.DeadlineExceeded, true},
		{"there in time", func(l *lease, _ context.CancelFunc) { l.lift(); time.Sleep(time.Hour) }, nil, nil, true},
		{"there in time, and nobody waits", func(l *lease, _ context.CancelFunc) { l.lift(); time.Sleep(time.Hour) }, nil, nil, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			parent, end := context.WithCancel(context.WithValue(context.Background(), leaseKey{}, "value"))
			defer end()
			l := newLease(parent, time.Second, context.DeadlineExceeded)
			defer l.giveBack()
			if test.waits {
				l.Done()
			}
			if l.Err() != nil || context.Cause(l) != nil {
				t.Errorf("%s: it has ended before: %v", test.name, l.Err())
			}
			test.end(l, end)
			synctest.Wait()
			if l.Err() != test.is || context.Cause(l) != test.caused || l.Value(leaseKey{}) != "value" {
				t.Errorf("%s: %v by %v", test.name, l.Err(), context.Cause(l))
			}
			if wasLate := l.late() != nil; wasLate != (test.caused == context.DeadlineExceeded) {
				t.Errorf("%s: late is %v", test.name, wasLate)
			}
			over := false
			select {
			case <-l.Done():
				over = true
			default:
			}
			if over != (test.is != nil) {
				t.Errorf("%s: done is %v", test.name, over)
			}
		})
	}
}

// What is derived from a lease ends with it, and needs no goroutine for that.
func TestLeaseEndsWhatIsDerived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease(context.Background(), time.Minute, context.DeadlineExceeded)
		derived, cancel := context.WithTimeout(l, time.Hour)
		defer cancel()
		l.giveBack()
		if derived.Err() != context.Canceled { // at once: a goroutine would need its turn
			t.Errorf("%v", derived.Err())
		}
	})
}
