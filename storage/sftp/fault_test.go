package sftp_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/sftp"
	"storagesrv/storage/sftp/sftptest"
)

func TestOpenIsBoundedWhereverTheServerStops(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string]sftptest.Faults{
		"in login":    {HoldAt: sftptest.InAuth},
		"at the file": {HangAt: "/" + recording},
		"at SFTP":     {Answer: func([]byte) []byte { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, sftptest.Config{})
			store := connect(t, server, impatient)
			server.Set(faults)
			within(t, 2*timeout, func() { wants(t, tries(store), tooLate) })
			server.Set(sftptest.Faults{})
			recovers(t, store)
		})
	}
}

func TestOpenFailsFastWhileTheServerIsDown(t *testing.T) {
	server := start(t, sftptest.Config{})
	var dials atomic.Int32
	store := connect(t, server, func(c *sftp.Config) {
		c.OnDial = func(result string) {
			dials.Add(1)
			if result != "unreachable" {
				t.Errorf("dial: %s", result)
			}
		}
	})
	server.Close()
	began := time.Now()
	for range 100 {
		within(t, 0, func() { wants(t, tries(store), unavailable) })
	}
	if n, took := int(dials.Load()), time.Since(began); n < 1 || n > mostDials(took) {
		t.Errorf("%d dials in %v", n, took)
	}
}

func TestEverybodyIsFreedWhenTheLinkFreezes(t *testing.T) {
	t.Parallel()
	server := start(t, sftptest.Config{})
	store := connect(t, server, impatient, noResume)
	var readers sync.WaitGroup
	var started sync.WaitGroup
	for range 20 {
		file := begun(t, store)
		started.Add(1)
		readers.Go(func() {
			buffer := make([]byte, 1000)
			_, err := file.ReadAt(buffer, 0)
			started.Done()
			for err == nil {
				_, err = file.ReadAt(buffer, 0)
			}
			wants(t, err, unavailable, tooLate)
			within(t, 0, func() { file.Close() })
		})
	}
	started.Wait()
	server.Set(sftptest.Faults{Frozen: true})
	within(t, timeout, readers.Wait)
	server.Set(sftptest.Faults{})
	recovers(t, store)
}

func TestKeepaliveFindsAnIdleConnectionDead(t *testing.T) {
	t.Parallel()
	server := start(t, sftptest.Config{})
	store := connect(t, server, impatient, func(c *sftp.Config) { c.Keepalive = 50 * time.Millisecond })
	recovers(t, store) // it is connected
	server.Set(sftptest.Faults{Frozen: true})
	within(t, timeout, func() {
		eventually(t, "the connection is given up", func() bool { return store.Connections() == 0 })
	})
	server.Set(sftptest.Faults{})
	recovers(t, store)
}

func TestAKilledConnectionIsReplacedUnnoticed(t *testing.T) {
	t.Parallel()
	server := start(t, sftptest.Config{})
	for range 20 {
		store := connect(t, server, noResume)
		file := open(t, store)
		server.KillConnections()
		if err := tries(store); err != nil {
			t.Fatal(err)
		}
		_, err := file.Read(make([]byte, 10))
		wants(t, err, unavailable)
		if errors.Is(err, io.EOF) {
			t.Errorf("a lost connection reads as the end: %v", err)
		}
		store.Close()
	}
}

func TestReadersOfKilledConnectionsNeverSeeTheEnd(t *testing.T) {
	t.Parallel()
	server := start(t, sftptest.Config{})
	for range 20 {
		store := connect(t, server)
		file := open(t, store)
		done := make(chan struct{})
		go func() {
			defer close(done)
			got, err := io.ReadAll(file)
			if err == nil && len(got) != len(content) {
				t.Errorf("ended cleanly after %d bytes", len(got))
			} else if err != nil {
				wants(t, err, unavailable)
			}
		}()
		server.KillConnections()
		<-done
		store.Close()
	}
}

func TestAServerThatKeepsLosingConnectionsIsGivenTime(t *testing.T) {
	t.Parallel()
	server := start(t, sftptest.Config{})
	store := connect(t, server)
	if err := tries(store); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 100 {
		server.KillConnections()
		tries(store)
	}
	if n, took := server.Dials(), time.Since(began); n > 2+mostDials(took) { // the first loss is mended at once
		t.Errorf("dialed %d times in %v", n, took)
	}
	recovers(t, store)
}

func TestOneWhoLeavesHarmsNobody(t *testing.T) {
	t.Parallel()
	server := start(t, sftptest.Config{})
	store := connect(t, server)

	// While it is dialed.
	server.Set(sftptest.Faults{HoldAt: sftptest.InAuth})
	ctx, cancel := context.WithCancel(t.Context())
	left, stayed := make(chan error), make(chan error)
	go func() {
		_, err := store.Open(ctx, recording)
		left <- err
	}()
	eventually(t, "the dial begins", func() bool { return server.Dials() == 1 })
	go func() { stayed <- tries(store) }()
	cancel()
	wants(t, <-left, context.Canceled)
	server.Set(sftptest.Faults{})
	if err := <-stayed; err != nil {
		t.Errorf("who stayed: %v", err)
	}

	// While an answer is awaited.
	ctx, cancel = context.WithCancel(t.Context())
	file, err := store.Open(ctx, recording)
	if err != nil {
		t.Fatal(err)
	}
	server.Set(sftptest.Faults{Latency: 50 * time.Millisecond})
	go func() {
		_, err := file.ReadAt(make([]byte, 10), 200_000)
		left <- err
	}()
	go func() { stayed <- tries(store) }()
	cancel()
	wants(t, <-left, context.Canceled)
	if err := <-stayed; err != nil {
		t.Errorf("who stayed: %v", err)
	}
	file.Close()
	if n := server.Dials(); n != 1 {
		t.Errorf("%d connections were needed", n)
	}
}

func TestCloseEndsAReadAtOnce(t *testing.T) {
	for name, end := range map[string]func(storage.File, *sftp.Store){
		"File": func(file storage.File, _ *sftp.Store) { file.Close() },
		"Store": func(_ storage.File, store *sftp.Store) {
			store.Close()
			wants(t, tries(store), unavailable)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, sftptest.Config{})
			store := connect(t, server)
			file := open(t, store)
			server.Set(sftptest.Faults{Frozen: true})
			read := make(chan error)
			go func() {
				_, err := file.ReadAt(make([]byte, 10), 200_000)
				read <- err
			}()
			within(t, 0, func() {
				end(file, store)
				wants(t, <-read, fs.ErrClosed, unavailable)
			})
		})
	}
}

// The types of SFTP packets, and where they begin.
const (
	fxHandle = 102
	fxStatus = 101
	fxData   = 103
	fxName   = 104
	fxAttrs  = 105

	afterID = 5
)

// on returns a change of the answers of one type.
func on(packetType byte, change func(packet []byte) []byte) func([]byte) []byte {
	return func(packet []byte) []byte {
		if packet[0] != packetType {
			return packet
		}
		return change(packet)
	}
}

// status returns an answer of this code in place of packet.
func status(packet []byte, code uint32) []byte {
	answer := append([]byte{fxStatus}, packet[1:afterID]...)
	answer = binary.BigEndian.AppendUint32(answer, code)
	return append(answer, 0, 0, 0, 0, 0, 0, 0, 0)
}

func TestNonsenseIsSurvived(t *testing.T) {
	t.Parallel()
	truncate := func(p []byte) []byte { return p[:len(p)-3] }
	ok := func(p []byte) []byte { return status(p, 0) }
	for name, answer := range map[string]func([]byte) []byte{
		"short attrs":       on(fxAttrs, truncate),
		"no attrs":          on(fxAttrs, func(p []byte) []byte { return p[:afterID] }),
		"short handle":      on(fxHandle, truncate),
		"short name":        on(fxName, func(p []byte) []byte { return p[:afterID+6] }),
		"short data":        on(fxData, truncate),
		"empty packet":      on(fxData, func([]byte) []byte { return []byte{} }),
		"only a type":       on(fxAttrs, func(p []byte) []byte { return p[:1] }),
		"unknown type":      on(fxAttrs, func(p []byte) []byte { return append([]byte{77}, p[1:]...) }),
		"unknown id":        on(fxAttrs, func(p []byte) []byte { return append([]byte{fxAttrs, 9, 9, 9, 9}, p[afterID:]...) }),
		"huge packet":       on(fxData, func(p []byte) []byte { return append(p, make([]byte, 1<<20)...) }),
		"attrs are ok":      on(fxAttrs, ok),
		"handle is ok":      on(fxHandle, ok),
		"name is ok":        on(fxName, ok),
		"data is ok":        on(fxData, ok),
		"data is empty":     on(fxData, func(p []byte) []byte { return append(p[:afterID:afterID], 0, 0, 0, 0) }),
		"attrs are the end": on(fxAttrs, func(p []byte) []byte { return status(p, 1) }),
		"connection lost":   on(fxAttrs, func(p []byte) []byte { return status(p, 7) }),
		"failure":           on(fxAttrs, func(p []byte) []byte { return status(p, 4) }),
		"negative size": on(fxAttrs, func(p []byte) []byte {
			return append(append(p[:afterID+4:afterID+4], 0xff), p[afterID+5:]...)
		}),
		"many extensions": on(fxAttrs, func(p []byte) []byte {
			return append(append(p[:afterID:afterID], 0x80, 0, 0, 0), 0xff, 0xff, 0xff, 0xff)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, sftptest.Config{})
			store := connect(t, server, impatient, noResume)
			server.Set(sftptest.Faults{Answer: answer})
			bound := 2 * timeout
			if name == "data is empty" { // what goes on sending could be a slow link
				bound = 6 * timeout
			}
			within(t, bound, func() { wants(t, tries(store), unavailable, tooLate) })
			server.Set(sftptest.Faults{})
			recovers(t, store)
		})
	}
}

func TestMoreDataThanAskedForIsLeftOut(t *testing.T) {
	server := start(t, sftptest.Config{})
	store := connect(t, server)
	server.Set(sftptest.Faults{Answer: on(fxData, func(p []byte) []byte {
		length := binary.BigEndian.Uint32(p[afterID:])
		more := binary.BigEndian.AppendUint32(p[:afterID:afterID], length+1000)
		return append(append(more, p[afterID+4:]...), make([]byte, 1000)...)
	})})
	if err := tries(store); err != nil {
		t.Error(err)
	}
}

func TestAFileOfUnknownTypeIsInvalid(t *testing.T) {
	server := start(t, sftptest.Config{})
	store := connect(t, server)
	server.Set(sftptest.Faults{Answer: on(fxAttrs, func(p []byte) []byte {
		return append(p[:afterID:afterID], 0, 0, 0, 0) // no attribute at all
	})})
	wants(t, tries(store), fs.ErrInvalid)
}

func TestAFileSwappedAfterTheLookIsInvalid(t *testing.T) {
	server := start(t, sftptest.Config{})
	store := connect(t, server)
	var opened atomic.Bool
	server.Set(sftptest.Faults{Answer: func(p []byte) []byte {
		if p[0] == fxHandle {
			opened.Store(true)
		}
		if p[0] == fxAttrs && opened.Load() {
			const afterOwner = afterID + 4 + 8 + 8 // flags, size, owner and group
			return append(binary.BigEndian.AppendUint32(p[:afterOwner:afterOwner], 0o010644), p[afterOwner+4:]...)
		}
		return p
	}})
	wants(t, tries(store), fs.ErrInvalid)
	if !opened.Load() {
		t.Error("was refused before it was opened")
	}
}

func TestWhatAServerPrintsIsNoSFTP(t *testing.T) {
	server := start(t, sftptest.Config{})
	store := connect(t, server)
	server.Set(sftptest.Faults{Chatter: "Welcome to recorder 7\n"})
	within(t, 0, func() { wants(t, tries(store), unavailable) })
	server.Set(sftptest.Faults{})
	recovers(t, store)
}

func TestFailuresLeaveNothingRunning(t *testing.T) {
	server := start(t, sftptest.Config{})
	store := connect(t, server)
	if err := tries(store); err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	server.Set(sftptest.Faults{Answer: on(fxAttrs, func(p []byte) []byte { return status(p, 4) })})
	for range 200 {
		wants(t, tries(store), unavailable)
	}
	server.Set(sftptest.Faults{})
	for range 50 { // each with a Close on the way
		if err := tries(store); err != nil {
			t.Fatal(err)
		}
	}
	// A connection may have started some of its own since.
	eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= before+20 })
	if n := server.Dials(); n != 1 {
		t.Errorf("%d dials", n)
	}
}

func TestHealthFollowsTheServer(t *testing.T) {
	server := start(t, sftptest.Config{})
	store := connect(t, server)
	up := func() bool { return store.Health().Up }
	eventually(t, "up, without a request", up)
	server.Set(sftptest.Faults{HoldAt: sftptest.BeforeBanner})
	server.KillConnections()
	eventually(t, "down", func() bool { return !up() })
	if health := store.Health(); health.Reason == "" || time.Since(health.Since) > time.Minute {
		t.Errorf("%+v", health)
	}
	server.Set(sftptest.Faults{})
	eventually(t, "up again, without a request", up)
}
