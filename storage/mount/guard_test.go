package mount

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"storagesrv/storage"
)

func dropped(int) {}

// gaveUp reports whether err is that of a call that hangs, or of one that was
// not made because others do.
func gaveUp(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, storage.ErrUnavailable)
}

func TestGuardLetsManyWaitForASlowMount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(5*time.Second, 4, newSlots(100))
		var opens sync.WaitGroup
		for i := range 100 {
			opens.Go(func() {
				_, err := guarded(t.Context(), g, strconv.Itoa(i), func() (int, error) {
					time.Sleep(100 * time.Millisecond)
					return 0, nil
				}, dropped)
				if err != nil {
					t.Error(err)
				}
			})
		}
		opens.Wait()
	})
}

func TestGuardGivesUpOnADeadMountAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(5*time.Second, 4, newSlots(100))
		back := make(chan struct{})
		dead := func() (int, error) {
			<-back
			return 0, nil
		}
		var opens sync.WaitGroup
		start := time.Now()
		for i := range 100 { // 4 hang in the kernel, 6 wait for a slot, and 90 for their turn
			opens.Go(func() {
				if _, err := guarded(t.Context(), g, strconv.Itoa(i%10), dead, dropped); !gaveUp(err) {
					t.Error(err)
				}
			})
		}
		opens.Wait()
		if took := time.Since(start); took != g.timeout {
			t.Errorf("all have given up after %v", took)
		}
		synctest.Wait()
		start = time.Now()
		if _, err := guarded(t.Context(), g, "x", dead, dropped); !errors.Is(err, storage.ErrUnavailable) || time.Since(start) > 0 {
			t.Errorf("with all slots stuck: %v after %v", err, time.Since(start))
		}
		up := storage.Health{Up: true}
		if h := g.health(up); h.Up || h.Reason == "" || h.Since != start {
			t.Errorf("with all slots stuck, since %v: %+v", start, h)
		}
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := guarded(canceled, g, "x", dead, dropped); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
		close(back)
		synctest.Wait()
		if _, err := guarded(t.Context(), g, "x", dead, dropped); err != nil {
			t.Errorf("when it is back: %v", err)
		}
		if n := g.slots.sticking(); n != 0 || g.health(up) != up {
			t.Errorf("%d calls count as stuck: %+v", n, g.health(up))
		}
	})
}

func TestGuardMakesOneCallAtATimeOnAPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(5*time.Second, 8, newSlots(100))
		var atOnce, most int
		var mu sync.Mutex
		slow := func() (int, error) {
			mu.Lock()
			atOnce++
			most = max(most, atOnce)
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			atOnce--
			mu.Unlock()
			return 0, nil
		}
		{
			const want = 1
			var calls sync.WaitGroup
			for range 20 {
				calls.Go(func() {
					if _, err := guarded(t.Context(), g, "a", slow, dropped); err != nil {
						t.Error(err)
					}
				})
			}
			calls.Wait()
			if most != want {
				t.Errorf("%d calls at once, want %d", most, want)
			}
		}
		if len(g.turns) != 0 {
			t.Errorf("%d turns are left", len(g.turns))
		}
	})
}

func TestGuardRefusesAPathWhereACallHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(5*time.Second, 8, newSlots(100))
		back := make(chan struct{})
		dead := func() (int, error) {
			<-back
			return 0, nil
		}
		if _, err := guarded(t.Context(), g, "a", dead, dropped); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		synctest.Wait()
		{
			start := time.Now()
			if _, err := guarded(t.Context(), g, "a", dead, dropped); !errors.Is(err, storage.ErrUnavailable) || time.Since(start) > 0 {
				t.Errorf("the same path: %v after %v", err, time.Since(start))
			}
			if _, err := guarded(t.Context(), g, "b", func() (int, error) { return 0, nil }, dropped); err != nil {
				t.Errorf("another path: %v", err)
			}
		}
		close(back)
		synctest.Wait()
		if _, err := guarded(t.Context(), g, "a", dead, dropped); err != nil {
			t.Errorf("when it is back: %v", err)
		}
	})
}

// fill makes n calls hang until back is closed.
func fill(t *testing.T, g *guard, n int, back <-chan struct{}) {
	t.Helper()
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() {
			_, err := guarded(t.Context(), g, strconv.Itoa(i), func() (int, error) { <-back; return 0, nil }, dropped)
			if !gaveUp(err) {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	synctest.Wait()
}

func succeeds(g *guard) error {
	_, err := guarded(context.Background(), g, "well", func() (int, error) { return 0, nil }, dropped)
	return err
}

func TestCallsThatHangTakeNoSlotsOfAnotherGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, back := newSlots(8), make(chan struct{})
		dead, well := newGuard(5*time.Second, 4, all), newGuard(5*time.Second, 4, all)
		fill(t, dead, 4, back)
		if err := succeeds(dead); !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("the dead one: %v", err)
		}
		if err := succeeds(well); err != nil {
			t.Errorf("the other one: %v", err)
		}
		if n := all.sticking(); n != 4 {
			t.Errorf("%d calls are stuck, want 4", n)
		}
		close(back)
		synctest.Wait()
		if err := succeeds(dead); err != nil || all.sticking() != 0 {
			t.Errorf("when it is back: %v, with %d stuck", err, all.sticking())
		}
	})
}

func TestGuardsHaveNoMoreSlotsThanThereAreInAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, back := newSlots(8), make(chan struct{})
		fill(t, newGuard(5*time.Second, 4, all), 4, back)
		second := newGuard(5*time.Second, 4, all)
		fill(t, second, 3, back)
		third := newGuard(5*time.Second, 4, all)
		fill(t, third, 4, back) // one hangs in the kernel, and three get no slot
		full := time.Now()
		if n := all.sticking(); n != 8 {
			t.Errorf("%d calls are stuck, want 8", n)
		}
		for _, g := range []*guard{second, third} {
			if err := succeeds(g); !errors.Is(err, storage.ErrUnavailable) || time.Since(full) > 0 {
				t.Errorf("with no slots left: %v after %v", err, time.Since(full))
			}
			if h := g.health(storage.Health{Up: true}); h.Up || h.Reason == "" || h.Since != full {
				t.Errorf("with no slots left since %v: %+v", full, h)
			}
		}
		close(back)
		synctest.Wait()
		if err := succeeds(third); err != nil {
			t.Errorf("when they are back: %v", err)
		}
		for _, s := range []*slots{all, second.slots, third.slots} {
			if len(s.taken) != 0 {
				t.Errorf("%d slots are taken", len(s.taken))
			}
		}
	})
}
