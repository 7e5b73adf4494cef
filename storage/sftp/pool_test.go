package sftp_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/sftp"
	"storagesrv/storage/sftp/sftptest"
)

// long is a recording that takes more than one connection to read fast.
var long = func() []byte {
	long := make([]byte, 12<<20)
	rand.NewChaCha8([32]byte{1}).Read(long)
	return long
}()

const longRecording = "long.mp3"

// startLong runs a server that has long besides content.
func startLong(t testing.TB) *sftptest.Server {
	t.Helper()
	dir := recordings(t)
	record(t, dir+"/"+longRecording, long)
	return start(t, sftptest.Config{Dir: dir})
}

func openLong(t testing.TB, store storage.Store) storage.File {
	t.Helper()
	file, err := store.Open(t.Context(), longRecording)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// readsAt asserts that a part of long is read as it is.
func readsAt(t testing.TB, file io.ReaderAt, offset, length int64) {
	t.Helper()
	got := make([]byte, length)
	if n, err := file.ReadAt(got, offset); err != nil || !bytes.Equal(got, long[offset:][:length]) {
		t.Errorf("read %d bytes of %d at %d, %v", n, length, offset, err)
	}
}

func TestThoseWhoNeedAConnectionShareADial(t *testing.T) {
	server := start(t, sftptest.Config{})
	store := connect(t, server, func(c *sftp.Config) { c.Connections = 1 })
	server.Set(sftptest.Faults{HoldAt: sftptest.BeforeBanner})
	ends := make(chan error)
	for range 50 {
		go func() { ends <- tries(store) }()
	}
	eventually(t, "it is dialed", func() bool { return server.Dials() > 0 })
	server.Set(sftptest.Faults{})
	for range 50 {
		if err := <-ends; err != nil {
			t.Error(err)
		}
	}
	if n := server.Dials(); n != 1 {
		t.Errorf("%d dials", n)
	}
}

func TestADialIsSharedEvenIfMoreConnectionsMayBe(t *testing.T) {
	server := start(t, sftptest.Config{})
	store := connect(t, server)
	server.Set(sftptest.Faults{HoldAt: sftptest.InAuth})
	ends := make(chan error)
	for range 50 {
		go func() {
			_, err := store.Stat(context.Background(), recording)
			ends <- err
		}()
	}
	eventually(t, "it is dialed", func() bool { return server.Dials() > 0 })
	server.Set(sftptest.Faults{})
	for range 50 {
		if err := <-ends; err != nil {
			t.Error(err)
		}
	}
	if n := server.Dials(); n != 1 {
		t.Errorf("%d dials", n)
	}
}

func TestAConnectionIsDialedWhenOthersAreBusy(t *testing.T) {
	const most = 3
	server := startLong(t)
	var dials atomic.Int32
	store := connect(t, server, func(c *sftp.Config) {
		c.Connections = most
		c.OnDial = func(string) { dials.Add(1) }
	})
	file := openLong(t, store)
	for offset := int64(0); offset < 1<<20; offset += 256 << 10 { // little at a time
		readsAt(t, file, offset, 256<<10)
	}
	if n := store.Connections(); n != 1 {
		t.Errorf("%d connections for one who reads little", n)
	}
	server.Set(sftptest.Faults{Latency: 10 * time.Millisecond})
	enough := make(chan struct{})
	var readers sync.WaitGroup
	for i := range int64(8) {
		file := openLong(t, store)
		readers.Go(func() {
			for more := true; more; {
				select {
				case <-enough:
					more = false // but once more: there might be one connection more
				default:
				}
				readsAt(t, file, i<<20, 1<<20)
			}
		})
	}
	eventually(t, "there are as many connections as may be", func() bool { return dials.Load() >= most })
	close(enough)
	readers.Wait()
	if n := dials.Load(); n != most {
		t.Errorf("%d dials", n)
	}
}

func TestAFileIsReadOverSeveralConnections(t *testing.T) {
	server := startLong(t)
	bare := connect(t, server)
	store := storage.ReadAhead(bare, storage.NewBudget(32<<20))
	server.Set(sftptest.Faults{Latency: 30 * time.Millisecond}) // so that much is under way
	eventually(t, "there are several", func() bool {
		got, err := io.ReadAll(openLong(t, store))
		if err != nil || !bytes.Equal(got, long) {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		return bare.Connections() > 1
	})
}

func TestAFrozenConnectionHarmsOnlyWhatRunsOnIt(t *testing.T) {
	t.Parallel()
	server := startLong(t)
	proxy, via := proxied(t, server)
	var n atomic.Int32
	const timeout, patience = 40 * time.Second, 5 * time.Second
	store := connect(t, server, via, resumes(&n), func(c *sftp.Config) { c.Connections, c.Timeout = 2, timeout })
	filler, affected := openLong(t, store), openLong(t, store)
	readsAt(t, affected, 0, 1000)
	server.Set(sftptest.Faults{Latency: 100 * time.Millisecond})
	readsAt(t, filler, 0, 2<<20) // makes it dial another
	eventually(t, "there are two connections", func() bool { return store.Connections() == 2 })
	var held atomic.Bool
	release := make(chan struct{})
	server.Set(sftptest.Faults{Answer: on(fxData, func(p []byte) []byte {
		if held.CompareAndSwap(false, true) {
			<-release
		}
		return p
	})})
	filling := make(chan struct{})
	go func() {
		defer close(filling)
		readsAt(t, affected, 1<<20, 256<<10) // keeps the first one busier
	}()
	eventually(t, "the first connection is busier", held.Load)
	other := openLong(t, store)
	close(release)
	<-filling
	filler.Close()
	server.Set(sftptest.Faults{})

	proxy.ForgetOldest()
	var readers sync.WaitGroup
	readers.Go(func() {
		began := time.Now()
		readsAt(t, affected, 3<<20, 1000)
		if took := time.Since(began); took < patience {
			t.Errorf("was not on the frozen connection: took %v", took)
		} else if took > timeout { // it would be given up by then
			t.Errorf("moved to another connection after %v", took)
		}
	})
	for i := range int64(20) {
		began := time.Now()
		readsAt(t, other, i*100_000, 1000)
		if took := time.Since(began); took > patience {
			t.Errorf("a read over the other connection took %v", took)
		}
	}
	within(t, patience, func() {
		if err := tries(store); err != nil {
			t.Error(err)
		}
	})
	readers.Wait()
	for i := range int64(20) {
		began := time.Now()
		readsAt(t, affected, i*100_000, 1000)
		if took := time.Since(began); took > patience {
			t.Errorf("afterwards: a read took %v", took)
		}
	}
}

func TestIdleConnectionsAreEndedButForOne(t *testing.T) {
	server := startLong(t)
	store := connect(t, server, func(c *sftp.Config) { c.Connections = 2 })
	file := spreads(t, server, store)
	sftp.Age(store, time.Hour)
	if n := sftp.Retire(store); n != 0 {
		t.Errorf("%d connections were ended that a file is open on", n)
	}
	readsAt(t, file, 5<<20, 1<<20)
	file.Close()
	if n := sftp.Retire(store); n != 0 {
		t.Errorf("%d connections were ended right after they were used", n)
	}
	n := 0
	eventually(t, "one is ended", func() bool { // the file may still be closed on it
		sftp.Age(store, time.Minute)
		n = sftp.Retire(store)
		return n > 0
	})
	if n != 1 || store.Connections() != 1 {
		t.Errorf("%d connections were ended, %d are left", n, store.Connections())
	}
	if !store.Health().Up {
		t.Error("counts as an outage")
	}
	for range 20 {
		if err := tries(store); err != nil {
			t.Error(err)
		}
	}
}

func TestAKeepaliveEndsAnIdleConnection(t *testing.T) {
	server := startLong(t)
	store := connect(t, server, func(c *sftp.Config) { c.Keepalive, c.Connections = 20*time.Millisecond, 2 })
	spreads(t, server, store).Close()
	eventually(t, "one is left", func() bool {
		sftp.Age(store, time.Minute) // again: the file may still be closed on it
		return server.Connections() == 1 && store.Connections() == 1
	})
}

// spreads returns a file of store that is open on both of its connections.
func spreads(t testing.TB, server *sftptest.Server, store *sftp.Store) storage.File {
	t.Helper()
	file := openLong(t, store)
	server.Set(sftptest.Faults{Latency: 10 * time.Millisecond})
	defer server.Set(sftptest.Faults{})
	eventually(t, "it is read over several connections", func() bool {
		readsAt(t, file, 0, 4<<20)
		return sftp.Spread(file) > 1
	})
	return file
}

func TestAllWhoWaitAreFreedWhenTheirConnectionIsKilled(t *testing.T) {
	server := start(t, sftptest.Config{})
	store := connect(t, server, noResume)
	file := open(t, store)
	server.Set(sftptest.Faults{HangAt: "/" + recording})
	ends := make(chan error)
	const most = 50
	for i := range most {
		go func() {
			_, err := file.ReadAt(make([]byte, 100), 100_000+int64(i))
			ends <- err
		}()
	}
	eventually(t, "they wait", func() bool { return sftp.Load(store) >= most*100 })
	server.KillConnections()
	within(t, 0, func() {
		for range most {
			wants(t, <-ends, unavailable)
		}
	})
}

func TestALateAnswerCountsWhenThereIsNoOtherConnection(t *testing.T) {
	for name, faults := range map[string]sftptest.Faults{
		"denied":      {RefuseAuth: true},
		"no sftp":     {RefuseSFTP: true},
		"unreachable": {Chatter: "busy\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, sftptest.Config{})
			failed := make(chan string, 1)
			store := connect(t, server, func(c *sftp.Config) {
				c.Timeout = 16 * time.Second // and it asks elsewhere after two
				c.OnDial = func(result string) {
					if result != "ok" {
						failed <- result
					}
				}
			})
			if err := tries(store); err != nil {
				t.Fatal(err)
			}
			faults.HangAt = "/" + recording
			server.Set(faults)
			opened := make(chan error)
			go func() { opened <- tries(store) }()
			<-failed
			server.Set(sftptest.Faults{})
			if err := <-opened; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTheEndOfAConnectionIsNoOutageWhenThereIsANewOne(t *testing.T) {
	t.Parallel()
	server := startLong(t)
	proxy, via := proxied(t, server)
	var store *sftp.Store
	second := make(chan struct{})
	var dials atomic.Int32
	store = connect(t, server, via, noResume, func(c *sftp.Config) {
		c.Connections = 2
		c.OnDial = func(string) {
			if dials.Add(1) != 2 {
				return
			}
			defer close(second)
			if n := store.Connections(); n != 2 {
				t.Errorf("told of the second connection, there are %d", n)
			}
			proxy.ResetOldest()
			eventually(t, "the first is forgotten", func() bool { n, all := sftp.Alive(store); return n == all && n < 2 })
		}
	})
	file := openLong(t, store)
	server.Set(sftptest.Faults{Latency: 10 * time.Millisecond})
	file.ReadAt(make([]byte, 2<<20), 0) // much, so that another connection is dialed
	<-second
	if health := store.Health(); !health.Up {
		t.Errorf("%+v", health)
	}
}

func TestALateAnswerIsNotHeldUpByTheOtherConnection(t *testing.T) {
	t.Parallel()
	server := start(t, sftptest.Config{})
	store := connect(t, server, func(c *sftp.Config) { c.Timeout = 16 * time.Second }) // and it asks elsewhere after two
	file := open(t, store)
	reads(t, file, content[:50_000])
	var held, opened, looks atomic.Bool
	release := make(chan struct{})
	var other sync.WaitGroup // what the second connection does: it answers, but does not say whether the file has changed
	other.Add(2)
	server.Set(sftptest.Faults{Answer: func(p []byte) []byte {
		select {
		case <-release:
			return p
		default:
		}
		switch {
		case p[0] == fxData && held.CompareAndSwap(false, true):
			<-release // the first connection answers nothing any more
		case p[0] == fxData:
			other.Done()
		case p[0] == fxHandle:
			opened.Store(true)
		case p[0] == fxAttrs && opened.Load() && !looks.CompareAndSwap(false, true):
			other.Done()
			return nil
		}
		return p
	}})
	done := make(chan struct{})
	go func() {
		defer close(done)
		reads(t, io.NewSectionReader(file, 299_000, 1000), content[299_000:])
	}()
	other.Wait()
	eventually(t, "the bytes are there", func() bool { return sftp.Load(store) == 1000 })
	close(release)
	within(t, 0, func() { <-done })
}

func TestABusyConnectionHasTwoSessions(t *testing.T) {
	server := startLong(t)
	store := connect(t, server, func(c *sftp.Config) { c.Connections = 1 })
	file := openLong(t, store)
	server.Set(sftptest.Faults{Latency: 10 * time.Millisecond})
	eventually(t, "it is read in two sessions", func() bool {
		readsAt(t, file, 0, 4<<20)
		return sftp.Sessions(file) == 2
	})
	if n := server.Connections(); n != 1 {
		t.Errorf("over %d connections", n)
	}
}
