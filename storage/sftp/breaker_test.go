package sftp

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"storagesrv/storage"
)

// hammer has many ask a pool for a connection all the time, whose dials all end
// with err, and returns when it dialed.
func hammer(t *testing.T, err error, during time.Duration) (dials []time.Duration) {
	t.Helper()
	config, _ := Config{}.withDefaults()
	began := time.Now()
	p := newPool(config, func(context.Context) (*conn, error) {
		dials = append(dials, time.Since(began))
		return nil, err
	}, newHealth())
	var askers sync.WaitGroup
	for range 10 {
		askers.Go(func() {
			for time.Since(began) < during {
				if _, _, got := p.get(t.Context()); !isPermanent(err) && !errors.Is(got, storage.ErrUnavailable) || isPermanent(err) && got != err {
					t.Errorf("got %v", got)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	askers.Wait()
	p.close()
	if reason := p.health.last.Reason; reason != printable(err) {
		t.Errorf("health tells %q", reason)
	}
	return dials
}

func TestAServerThatCannotBeReachedIsDialedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := &dialError{"unreachable", errors.New("connection refused")}
		dials := hammer(t, gone, 5*time.Minute)
		for i, most := range []time.Duration{750, 1500, 3000, 6000, 6000, 6000} {
			if gap := dials[i+1] - dials[i]; gap < most*time.Millisecond/3 || gap > most*time.Millisecond+100*time.Millisecond {
				t.Errorf("dial %d comes %v after the one before", i+2, gap)
			}
		}
		if n := len(dials); n < 30 || n > 110 {
			t.Errorf("%d dials in 5 minutes", n)
		}
		if others := hammer(t, gone, time.Minute); dials[1] == others[1] && dials[2] == others[2] {
			t.Error("two replicas dial at the same time")
		}
	})
}

func TestAServerThatRefusesUsIsLeftAlone(t *testing.T) {
	for _, result := range []string{"denied", "hostkey"} {
		synctest.Test(t, func(t *testing.T) {
			refused := &dialError{result, fs.ErrPermission}
			dials := hammer(t, refused, time.Minute)
			if n := len(dials); n < 10 || n > 13 {
				t.Errorf("%s: %d dials in a minute", result, n)
			}
			for i := range dials[1:] {
				if gap := dials[i+1] - dials[i]; gap < 5*time.Second {
					t.Errorf("%s: dialed again after %v", result, gap)
				}
			}
		})
	}
}

func TestALossIsMendedAtOnceUnlessItIsOneOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		lose := func(age time.Duration) time.Duration {
			c := &conn{since: time.Now()}
			b.dialed(c)
			time.Sleep(age)
			b.lost(c, storage.ErrUnavailable)
			return b.wait()
		}
		if wait := lose(time.Hour); wait != 0 {
			t.Errorf("after an hour: wait %v", wait)
		}
		if wait := lose(time.Second); wait != 0 {
			t.Errorf("after a second, once: wait %v", wait)
		}
		if wait := lose(time.Second); wait == 0 {
			t.Error("after a second, again: no wait")
		}
		time.Sleep(time.Minute)
		if wait := lose(time.Hour); wait != 0 {
			t.Errorf("after an hour again: wait %v", wait)
		}

		// A server that ends takes all connections along: they are one loss.
		c := &conn{since: time.Now()}
		d := &conn{since: time.Now()}
		b.dialed(c)
		b.dialed(d)
		b.lost(c, storage.ErrUnavailable)
		b.lost(d, storage.ErrUnavailable)
		if wait := b.wait(); wait != 0 {
			t.Errorf("after the loss of two at once: wait %v", wait)
		}
	})
}
