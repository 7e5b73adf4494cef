package sftp_test

import (
	"bytes"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/sftp"
)

// Over a slow link everything waits, and nothing is lost.
func TestOverASlowLinkNothingIsAskedForTwice(t *testing.T) {
	t.Parallel()
	server := startLong(t)
	proxy, via := proxied(t, server)
	var dials, resumes atomic.Int32
	below := connect(t, server, via, func(c *sftp.Config) {
		c.Timeout = slower * 3 * time.Second
		c.OnDial = func(string) { dials.Add(1) }
		c.OnResume = func() { resumes.Add(1) }
	})
	cache := storage.NewCache(storage.CacheConfig{Memory: 1 << 20})
	defer cache.Close()
	store := storage.ReadAhead(cache.Over("slow", below), storage.NewBudget(24<<20))
	if err := tries(below); err != nil { // it is connected
		t.Fatal(err)
	}
	proxy.SetRate(4 << 20)
	before := proxy.Received()
	got, err := io.ReadAll(openLong(t, store))
	if err != nil || !bytes.Equal(got, long) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if n := proxy.Received() - before; n > int64(len(long))*5/4 {
		t.Errorf("%d bytes came for %d", n, len(long))
	}
	if n := resumes.Load(); n != 0 {
		t.Errorf("%d connections were lost", n)
	}
	if n := dials.Load(); n > 4 {
		t.Errorf("%d dials", n)
	}
}
