package server_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/sftp"
)

// A meter is a rig over SFTP that knows what its server has sent.
type meter struct {
	*rig
	*stack
	t    testing.TB
	last int64
}

// newMeter makes a rig whose one connection is there already.
func newMeter(t testing.TB, cache storage.CacheConfig) *meter {
	t.Helper()
	m := &meter{rig: newRig(t, rigConfig{ttl: cached}), t: t}
	server, root := inThisProcess(t, m.dir)
	m.stack = newStack(t, server, stackConfig{cache: cache, sftp: sftp.Config{
		Root: root, Timeout: patient, Keepalive: time.Hour, Connections: 1,
	}})
	m.reroute(m.entry)
	m.call("settling", m.file("settling.wav", wav(1000)))
	m.passed()
	return m
}

// passed returns how many bytes the server has sent since it was called last.
func (m *meter) passed() int64 {
	m.t.Helper()
	await(m.t, "the end of the streams", func() bool { return m.rig.server.Streams() == 0 })
	m.awaitPlays("/recordings/settling", wav(1000)) // comes after what was asked for before, if it has to be asked for
	// What was asked for in vain may still come, in another session.
	now, since := m.proxy.Received(), time.Now()
	await(m.t, "silence", func() bool {
		if n := m.proxy.Received(); n != now {
			now, since = n, time.Now()
		}
		return time.Since(since) > 250*time.Millisecond
	})
	passed := now - m.last
	m.last = now
	return passed
}

// wants asserts how many bytes the server has sent for something.
func (m *meter) wants(what string, least, most int64) {
	m.t.Helper()
	n := m.passed()
	m.t.Logf("%s took %d bytes of the server", what, n)
	if n < least || n > most {
		m.t.Errorf("%s took %d bytes of the server, and may take %d to %d", what, n, least, most)
	}
}

// plays asks for a part of a recording.
func (m *meter) plays(id, ranges string, want []byte) {
	m.t.Helper()
	got := m.do("GET", "/recordings/"+id, header("Range", ranges))
	if got.status != 206 || !bytes.Equal(got.body, want) {
		m.t.Errorf("%s, %s: status %d, %d bytes, %v", id, ranges, got.status, len(got.body), got.err)
	}
}

// formalities is more than what it takes to open a file, or to ask about one.
const formalities = 4 << 10

func TestAProbeCostsLittleMoreThanTheProof(t *testing.T) {
	content := noisy(streamed, 1)
	m := newMeter(t, storage.CacheConfig{Memory: 8 << 20})
	for i, c := range []struct {
		ranges   string
		from, to int
		most     int64
	}{
		{"bytes=0-1", 0, 2, 64 << 10},
		{"bytes=0-65535", 0, 64 << 10, 64<<10 + formalities},
		{"bytes=3000000-3000001", 3_000_000, 3_000_002, 96 << 10},
		{"bytes=-2", len(content) - 2, len(content), 96 << 10},
	} {
		id := fmt.Sprint("call-", i)
		m.call(id, m.file(id+".wav", content))
		m.passed()
		m.plays(id, c.ranges, content[c.from:c.to])
		m.wants(c.ranges, 32<<10, c.most)
	}
}

// However late the client's end is noticed, it has 100 KB, its socket 128 KiB, and
// the server's 128 KiB and a write of 32; six packets are read ahead of that.
func TestAListenerWhoLeavesSoonCostsLittle(t *testing.T) {
	for _, delay := range []time.Duration{0, 5 * time.Millisecond} {
		m := newMeter(t, storage.CacheConfig{})
		m.proxy.SetDelay(delay)
		m.call("call-1", m.file("a.wav", noisy(streamed, 1)))
		open(t, m.rig, "/recordings/call-1", nil).Body.Close()
		m.wants("the first 100 KB", 100_000, 640<<10)
	}
}

func TestWhatWasReadIsNotReadAgain(t *testing.T) {
	content := noisy(streamed, 1)
	for _, c := range []struct {
		name       string
		revalidate time.Duration
		least      int64
		most       int64
	}{
		{"while it is believed", time.Hour, 0, 0},
		{"when it is asked for again", 0, 1, formalities},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMeter(t, storage.CacheConfig{Memory: 8 << 20, Revalidate: c.revalidate})
			m.call("call-1", m.file("a.wav", content))
			const from, to = 1_000_000, 1_800_000 // less than one listener may keep
			m.plays("call-1", fmt.Sprintf("bytes=%d-%d", from, to-1), content[from:to])
			m.wants("what nobody has read", to-from, to-from+128<<10)
			for _, at := range []int{from, from + 100_000, to - 1000} {
				m.plays("call-1", fmt.Sprintf("bytes=%d-%d", at, to-1), content[at:to])
			}
			m.wants("what was read", 4*c.least, 4*c.most)
		})
	}
}

func TestManyListenersPullARecordingOnce(t *testing.T) {
	content := noisy(2<<20, 1)
	m := newMeter(t, storage.CacheConfig{Memory: 64 << 20, Revalidate: time.Hour})
	m.call("call-1", m.file("a.wav", content))
	var listeners sync.WaitGroup
	for range 50 {
		listeners.Go(func() { m.wantPlays("/recordings/call-1", content) })
	}
	listeners.Wait()
	m.wants("50 listeners", int64(len(content)), int64(len(content))*11/10)
}

func TestTheCacheKeepsWhatOthersListenTo(t *testing.T) {
	const memory, each = 4 << 20, 256 << 10
	m := newMeter(t, storage.CacheConfig{Memory: memory, Revalidate: time.Hour})
	m.call("scan", m.file("scan.wav", noisy(3*memory, 0)))
	recordings := make([][]byte, 4)
	for i := range recordings {
		recordings[i] = noisy(each, byte(i+1))
		m.call(call(i), m.file(file(i), recordings[i]))
	}
	all := func() {
		for i, content := range recordings {
			m.wantPlays("/recordings/"+call(i), content)
		}
	}
	for range 3 {
		all()
	}
	m.passed()
	m.wantPlays("/recordings/scan", noisy(3*memory, 0))
	m.wants("the scan", 3*memory, 3*memory*11/10)
	if n := m.cache.Bytes(); n > memory*11/10 {
		t.Errorf("keeps %d bytes of %d", n, memory)
	}
	all()
	m.wants("what others listen to", 0, 4*each/20)
}

func TestTheCacheKeepsToItsMemory(t *testing.T) {
	const memory, each = 4 << 20, 1 << 20
	m := newMeter(t, storage.CacheConfig{Memory: memory, Revalidate: time.Hour})
	for i := range 3 * memory / each {
		content := noisy(each, byte(i))
		m.call(call(i), m.file(file(i), content))
		m.wantPlays("/recordings/"+call(i), content)
		if n := m.cache.Bytes(); n > memory*11/10 {
			t.Errorf("keeps %d bytes of %d", n, memory)
		}
	}
	if n := m.cache.Bytes(); n < memory/2 {
		t.Errorf("keeps only %d bytes of %d", n, memory)
	}
}
