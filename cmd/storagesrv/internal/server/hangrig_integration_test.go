//go:build integration && linux

package server_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/mount"
	"storagesrv/storage/mount/mounttest"
	"storagesrv/storage/storagetest"
)

const (
	// hangTimeout is that of the mount that hangs in these tests: time for a busy
	// machine to answer while it does not.
	hangTimeout = 2 * time.Second
	// hangSlack is what a busy machine adds to what is to take a second or so.
	hangSlack = 4 * time.Second
	// mostStuck is how many system calls may hang in it.
	mostStuck = 8
	// wellAgain is how soon a mount that is back must be served from.
	wellAgain = 5 * time.Second
	// sharp is how long a recording is that is longer than all the buffers between
	// us and a client that does not read.
	sharp = 3_000_000
)

// A hangRig is a rig with a mount that misbehaves on demand, below prefix, and
// another store, a directory of this machine with the call other.
type hangRig struct {
	*rig
	faulty *mounttest.Faulty
	store  *mount.Store
	other  string // the other store's directory
}

const (
	faultyStore = prefix + " mount"
	otherPrefix = "/var/other"
	otherStore  = otherPrefix + " mount"
)

// A hangConfig is what tests change; the zero value is a mount in order, each of
// whose reads reaches the file system as it is.
type hangConfig struct {
	pageCache bool
	marker    string
	stall     time.Duration
}

func newHangRig(t testing.TB, config hangConfig) *hangRig {
	t.Helper()
	storagetest.LeaksNothing(t)
	h := &hangRig{rig: newRig(t, rigConfig{ttl: cached, stall: config.stall}), other: realDir(t)}
	var err error
	if h.faulty, err = mounttest.StartFaulty(mounttest.FaultyConfig{Dir: h.dir, PageCache: config.pageCache}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.faulty.Close(); err != nil {
			t.Error(err)
		}
	})
	h.store = newMount(t, mount.Config{Root: h.faulty.Root(), Marker: config.marker, Timeout: hangTimeout, MaxStuck: mostStuck})
	h.beside("other", wav(32<<10))
	beside := newMount(t, mount.Config{Root: h.other})
	h.reroute(storage.Entry{Prefix: prefix, Label: faultyStore, Store: h.store, Health: h.store.Health},
		storage.Entry{Prefix: otherPrefix, Label: otherStore, Store: beside, Health: beside.Health})
	return h
}

func newMount(t testing.TB, config mount.Config) *mount.Store {
	t.Helper()
	store, err := mount.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// beside makes a call of the other store.
func (h *hangRig) beside(id string, content []byte) {
	h.t.Helper()
	path := filepath.Join(h.other, id+".wav")
	if err := errors.Join(os.WriteFile(path, content, 0o644), os.Chtimes(path, longAgo, longAgo)); err != nil {
		h.t.Fatal(err)
	}
	h.call(id, otherPrefix+"/"+id+".wav")
}

// playsAgain waits until a recording of the mount is served, which must be soon
// after since.
func (h *hangRig) playsAgain(id string, content []byte, since time.Time) {
	h.t.Helper()
	h.awaitPlays("/recordings/"+id, content)
	if took := time.Since(since); took > wellAgain+hangSlack {
		h.t.Errorf("it serves again after %v", took)
	}
}

// stores returns what /readyz says, by store.
func (h *hangRig) stores() (status int, stores map[string]storage.Health) {
	h.t.Helper()
	got := h.doURL("GET", h.admin+"/readyz", nil)
	var ready struct {
		Stores []struct {
			Store  string
			Up     bool
			Since  time.Time
			Reason string
		}
	}
	if err := json.Unmarshal(got.body, &ready); err != nil {
		h.t.Fatalf("%s: %v", got.body, err)
	}
	stores = make(map[string]storage.Health)
	for _, s := range ready.Stores {
		stores[s.Store] = storage.Health{Up: s.Up, Since: s.Since, Reason: s.Reason}
	}
	return got.status, stores
}

// isDown waits until the metrics and /readyz say that the mount is down, since
// start or later, and why, and that the other store is not.
func (h *hangRig) isDown(start time.Time, why string) {
	h.t.Helper()
	await(h.t, "it to be said that the mount is down", func() bool { return h.metric(`storagesrv_store_up{store="`+faultyStore+`"}`) == "0" })
	status, stores := h.stores()
	if s := stores[faultyStore]; status != 200 || s.Up || !strings.Contains(s.Reason, why) || s.Since.Before(start) || !stores[otherStore].Up {
		h.t.Errorf("/readyz: %d, %+v, since %v", status, stores, start)
	}
}

// isUp waits until /readyz says that the mount is up.
func (h *hangRig) isUp() {
	h.t.Helper()
	await(h.t, "it to be said that the mount is up", func() bool { _, stores := h.stores(); return stores[faultyStore].Up })
}

// checkCut asserts that n bodies count as cut for the mount's sake.
func (h *hangRig) checkCut(n string) {
	h.t.Helper()
	series := `storagesrv_truncated_total{store="` + faultyStore + `"}`
	await(h.t, n+" bodies to be counted as cut", func() bool { return h.metric(series) == n })
}

// threads returns how many threads this process has.
func threads(t testing.TB) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}
