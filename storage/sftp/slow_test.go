package sftp_test

import (
	"bytes"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/sftp"
	"storagesrv/storage/sftp/sftptest"
)

// slowLinkTimeout is eight times the patience of the store below. On a link that
// is as slow as that of the test, answers take longer than that patience.
const slowLinkTimeout = slower * slower * 3 * time.Second

// Over a slow link everything waits, and nothing is lost. A machine that stalls
// for longer than the store's patience proves nothing: then it is tried again.
func TestOverASlowLinkNothingIsAskedForTwice(t *testing.T) {
	t.Parallel()
	server := startLong(t)
	proxy, via := proxied(t, server)
	for range 10 {
		stalled := stalls()
		wrong := readsOverASlowLink(t, server, proxy, via)
		if stall := stalled(); wrong == "" {
			return
		} else if t.Logf("%s, stalled for %v", wrong, stall); stall < slowLinkTimeout/32 {
			t.Error(wrong)
		}
	}
	t.Skip("this machine stalls all the time")
}

// readsOverASlowLink returns what it took too much of.
func readsOverASlowLink(t *testing.T, server *sftptest.Server, proxy *sftptest.Proxy, via func(*sftp.Config)) string {
	t.Helper()
	var dials, resumes atomic.Int32
	below := connect(t, server, via, func(c *sftp.Config) {
		c.Timeout = slowLinkTimeout
		c.OnDial = func(string) { dials.Add(1) }
		c.OnResume = func() { resumes.Add(1) }
	})
	defer below.Close()
	cache := storage.NewCache(storage.CacheConfig{Memory: 1 << 20})
	defer cache.Close()
	store := storage.ReadAhead(cache.Over("slow", below), storage.NewBudget(24<<20))
	recovers(t, below) // it is connected
	proxy.SetRate(4 << 20)
	defer proxy.SetRate(0)
	before := proxy.Received()
	got, err := io.ReadAll(openLong(t, store))
	if err != nil || !bytes.Equal(got, long) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if n := proxy.Received() - before; n > int64(len(long))*5/4 || resumes.Load() != 0 || dials.Load() > 4 {
		return fmt.Sprintf("%d bytes came for %d, %d connections were lost, %d dials", n, len(long), resumes.Load(), dials.Load())
	}
	return ""
}

// stalls begins to watch for how long nothing runs on this machine that should,
// and returns what ends that and tells.
func stalls() (end func() time.Duration) {
	stop, longest := make(chan struct{}), make(chan time.Duration)
	go func() { // ends with end
		var most time.Duration
		for {
			began := time.Now()
			select {
			case <-time.After(10 * time.Millisecond):
				most = max(most, time.Since(began))
			case <-stop:
				longest <- most
				return
			}
		}
	}()
	return func() time.Duration {
		close(stop)
		return <-longest
	}
}
