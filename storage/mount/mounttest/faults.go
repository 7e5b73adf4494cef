//go:build linux

package mounttest

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Set replaces the faults, from now on. Calls that hang go on hanging.
func (f *Faulty) Set(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = slices.Clone(faults)
}

// Release ends the faults that hang or delay, and lets go on what they hold.
func (f *Faulty) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = slices.DeleteFunc(f.faults, func(fault Fault) bool { return fault.Hang || fault.Delay > 0 })
	close(f.released)
	f.released = make(chan struct{})
}

// Calls returns how many calls of op there were since the start.
func (f *Faulty) Calls(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// Hanging returns the calls that hang now, the longest first. What the kernel
// makes wait for one of them, such as another look-up in the same directory,
// is not among them.
func (f *Faulty) Hanging() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	var calls []Call
	for _, c := range f.hanging {
		calls = append(calls, *c)
	}
	return calls
}

// AwaitHanging waits until at least n calls hang.
func (f *Faulty) AwaitHanging(ctx context.Context, n int) error {
	for {
		f.mu.Lock()
		now, changed := len(f.hanging), f.changed
		f.mu.Unlock()
		if now >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d calls hang, not %d: %w", now, n, ctx.Err())
		}
	}
}

// meet lets happen what a call meets, up to its answer, and returns the fault.
func (f *Faulty) meet(call Call, read span) Fault {
	fault, released := f.enter(&call, read)
	if fault.Hang {
		<-released
		f.leave(&call)
	}
	if fault.Delay > 0 {
		select {
		case <-time.After(fault.Delay):
		case <-released:
		}
	}
	return fault
}

// enter counts a call and returns the fault that it meets, if any, and what
// ends that.
func (f *Faulty) enter(call *Call, read span) (fault Fault, released chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[call.Op]++
	i := slices.IndexFunc(f.faults, func(fault Fault) bool { return fault.hits(*call, read) })
	if i < 0 {
		return Fault{}, nil
	}
	fault = f.faults[i]
	switch {
	case fault.Times == 1:
		f.faults = slices.Delete(f.faults, i, i+1)
	case fault.Times > 1:
		f.faults[i].Times--
	}
	if fault.Hang {
		f.hanging = append(f.hanging, call)
		f.change()
	}
	return fault, f.released
}

func (f *Faulty) leave(call *Call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hanging = slices.DeleteFunc(f.hanging, func(c *Call) bool { return c == call })
	f.change()
}

// change is called with f.mu held.
func (f *Faulty) change() {
	close(f.changed)
	f.changed = make(chan struct{})
}
