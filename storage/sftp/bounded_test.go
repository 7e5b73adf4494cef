package sftp_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/sftp"
	"storagesrv/storage/sftp/sftptest"
)

func waits(c *sftp.Config) { c.Timeout, c.Resume = timeout, -1 }

// atOnce is how many.
const atOnce = 8

// brief is a recording of two packets.
const briefRecording = "brief.mp3"

var brief = content[:40_000]

// listens opens a recording, reads it and leaves, as one who listens to it. It
// returns how that ended, and how much too long a step took.
func listens(store storage.Store) (failed, late error) {
	step := func(name string, bound time.Duration, f func() error) error {
		began := time.Now()
		err := f()
		if took := time.Since(began); took > bound+slack {
			late = errors.Join(late, fmt.Errorf("%s took %v, bound %v", name, took, bound))
		}
		return err
	}
	var file storage.File
	if err := step("Open", 2*timeout, func() (err error) {
		file, err = store.Open(context.Background(), briefRecording)
		return err
	}); err != nil {
		return err, late
	}
	var got []byte
	for failed == nil {
		buffer := make([]byte, 20_000)
		var n int
		failed = step("Read", 2*timeout, func() (err error) {
			n, err = file.Read(buffer)
			return err
		})
		got = append(got, buffer[:n]...)
	}
	if failed == io.EOF {
		failed = nil
	}
	if !bytes.HasPrefix(brief, got) || failed == nil && len(got) != len(brief) {
		failed = fmt.Errorf("%d wrong bytes", len(got))
	}
	step("Close", 0, file.Close)
	return failed, late
}

// startBrief runs a server that has brief besides content.
func startBrief(t testing.TB) *sftptest.Server {
	dir := recordings(t)
	record(t, filepath.Join(dir, briefRecording), brief)
	return start(t, sftptest.Config{Dir: dir})
}

// isOutage reports whether err is how a server that is silent is told of.
func isOutage(err error) bool { return errors.Is(err, unavailable) || errors.Is(err, tooLate) }

func TestNothingWaitsLongWhereverTheServerFreezes(t *testing.T) {
	t.Parallel()
	server := startBrief(t)
	if err, _ := listens(connect(t, server)); err != nil {
		t.Fatal(err)
	}
	last := server.Sent()
	var all sync.WaitGroup
	var failures atomic.Int32
	for k, room := 1, make(chan struct{}, atOnce); k <= last; k++ {
		freeze := sftptest.Faults{FreezeAfter: k}
		for _, test := range []func(*sftptest.Server, *sftp.Store) error{
			func(server *sftptest.Server, store *sftp.Store) error {
				failed, late := listens(store)
				if failed != nil {
					failures.Add(1)
				}
				if failed != nil && !isOutage(failed) {
					return failed
				}
				server.Set(sftptest.Faults{})
				return errors.Join(late, soonListens(store))
			},
			func(server *sftptest.Server, store *sftp.Store) error {
				return isClosedAtOnce(store, server.Frozen)
			},
		} {
			server := startBrief(t)
			store := connect(t, server, waits)
			room <- struct{}{}
			all.Go(func() {
				defer func() { <-room }()
				server.Set(freeze)
				if err := test(server, store); err != nil {
					t.Errorf("frozen after %d of %d packets: %v", k, last, err)
				}
				store.Close()
				server.Close()
			})
		}
	}
	all.Wait()
	if n := int(failures.Load()); n < last/2 {
		t.Errorf("%d of %d froze what somebody waited for", n, last)
	}
}

func TestWhateverStepOneConnectionFreezesInAnotherTakesOver(t *testing.T) {
	t.Parallel()
	server := startBrief(t)
	store := connect(t, server)
	listens(store)
	before := server.Sent()
	listens(store)
	last := server.Sent() - before
	var all sync.WaitGroup
	for k, room := 1, make(chan struct{}, atOnce); k <= last; k++ {
		server := startBrief(t)
		store := connect(t, server, func(c *sftp.Config) { c.Timeout, c.Resume = 24*time.Second, -1 }) // and it asks elsewhere after three
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			if failed, _ := listens(store); failed != nil {
				t.Error(failed)
				return
			}
			server.Set(sftptest.Faults{FreezeAfter: k, FreezeOne: true})
			for range 3 {
				if failed, late := listens(store); failed != nil || late != nil {
					t.Errorf("frozen after %d of %d packets: %v, %v", k, last, failed, late)
					break
				}
			}
			store.Close()
			server.Close()
		})
	}
	all.Wait()
}

// soonListens returns what is wrong with a store that should be well again.
func soonListens(store storage.Store) (err error) {
	if !soon(func() bool {
		err, _ = listens(store)
		return err == nil
	}) {
		return fmt.Errorf("in a minute it did not recover: %w", err)
	}
	return nil
}

// isClosedAtOnce closes store when stuck comes to hold while somebody listens.
// It returns an error if that, or that who listens is told, takes long.
func isClosedAtOnce(store *sftp.Store, stuck func() bool) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		listens(store)
	}()
	for ended := false; !ended && !stuck(); {
		select {
		case <-done:
			ended = true // nobody waits for what is frozen
		case <-time.After(time.Millisecond):
		}
	}
	began := time.Now()
	store.Close()
	<-done
	if took := time.Since(began); took > slack {
		return fmt.Errorf("Close took %v", took)
	}
	return nil
}

func TestNothingWaitsLongForAServerThatCannotBeConnectedTo(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	for name, address := range map[string]string{
		"nobody accepts":    listener.Addr().String(),
		"the queue is full": fullQueue(t),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, sftptest.Config{})
			elsewhere := func(c *sftp.Config) { c.Address, c.KnownHosts, c.HostKey = address, "", server.Fingerprint() }
			failed, late := listens(connect(t, server, waits, elsewhere))
			if !isOutage(failed) || late != nil {
				t.Errorf("%v, %v", failed, late)
			}
			began := time.Now()
			if err := isClosedAtOnce(connect(t, server, elsewhere), func() bool { return time.Since(began) > timeout/10 }); err != nil {
				t.Error(err)
			}
		})
	}
}

// The types of further SFTP packets.
const (
	fxVersion       = 2
	fxExtendedReply = 201
)

// withLimits makes a server offer the extension, and answer a question for the
// limits with so many bytes a READ.
func withLimits(read uint64) func([]byte) []byte {
	return func(p []byte) []byte {
		switch {
		case p[0] == fxVersion:
			p = p[:len(p):len(p)]
			for _, text := range []string{"limits@openssh.com", "1"} {
				p = append(binary.BigEndian.AppendUint32(p, uint32(len(text))), text...)
			}
		case p[0] == fxStatus && binary.BigEndian.Uint32(p[afterID:]) == 8: // it does not know the question
			p = append([]byte{fxExtendedReply}, p[1:afterID]...)
			for _, limit := range []uint64{read + 1024, read, read, 0} {
				p = binary.BigEndian.AppendUint64(p, limit)
			}
		}
		return p
	}
}

// An answerCase is an answer before which the server freezes, and what asks for it.
type answerCase struct {
	name  string
	run   func(*sftp.Store) error
	kind  byte
	which int32 // of its kind is it
}

func TestNothingWaitsLongForAnAnswer(t *testing.T) {
	t.Parallel()
	opens := func(name string) func(*sftp.Store) error {
		return func(store *sftp.Store) error {
			file, err := store.Open(context.Background(), name)
			if err == nil {
				file.Close()
			}
			return err
		}
	}
	looks := func(store *sftp.Store) error {
		_, err := store.Stat(context.Background(), briefRecording)
		return err
	}
	hears := func(store *sftp.Store) error {
		failed, late := listens(store)
		return errors.Join(failed, late)
	}
	var all sync.WaitGroup
	room := make(chan struct{}, atOnce)
	for _, test := range []answerCase{
		{"VERSION", hears, fxVersion, 1},
		{"REALPATH", hears, fxName, 1},
		{"REALPATH of the file", hears, fxName, 2},
		{"LSTAT", hears, fxAttrs, 1},
		{"OPEN", hears, fxHandle, 1},
		{"FSTAT", hears, fxAttrs, 2},
		{"READ", hears, fxData, 1},
		{"READ in mid-file", hears, fxData, 2},
		{"FSTAT at the end", hears, fxAttrs, 3},
		{"CLOSE", hears, fxStatus, 1},
		{"REALPATH of Stat", looks, fxName, 1},
		{"LSTAT of Stat", looks, fxAttrs, 1},
		{"LSTAT of what is missing", opens("missing.mp3"), fxStatus, 1},
		{"STAT of the root", opens("missing.mp3"), fxAttrs, 1},
		{"OPENDIR of the root", opens("missing.mp3"), fxHandle, 1},
		{"READDIR of the root", opens("missing.mp3"), fxName, 2},
		{"VERSION for the limits", hears, fxVersion, 2},
		{"limits", hears, fxExtendedReply, 1},
	} {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			for left := 3; !test.isBounded(t); left-- {
				if left == 0 {
					t.Errorf("%s: was not asked for", test.name)
					break
				}
			}
		})
	}
	all.Wait()
}

// isBounded asserts that nobody waits long for the answer, and that all is well
// afterwards. It reports whether the answer was asked for: a time-out that is
// short on purpose may end an earlier step on a busy machine.
func (test answerCase) isBounded(t *testing.T) bool {
	server := startBrief(t)
	defer server.Close()
	store := connect(t, server, waits)
	defer store.Close()
	var seen atomic.Int32
	limits := withLimits(64 << 10)
	server.Set(sftptest.Faults{Answer: func(p []byte) []byte {
		if p = limits(p); p[0] == test.kind && seen.Add(1) == test.which {
			server.Set(sftptest.Faults{Frozen: true})
			return nil
		}
		return p
	}})
	began := time.Now()
	err := test.run(store)
	took := time.Since(began)
	if err != nil && !isOutage(err) {
		t.Errorf("%s: %v", test.name, err)
	}
	if took > 4*timeout+slack { // to open, and to read
		t.Errorf("%s: took %v", test.name, took)
	}
	asked := server.Frozen() || err == nil && soon(server.Frozen)
	server.Set(sftptest.Faults{})
	if err := soonListens(store); err != nil {
		t.Errorf("%s: %v", test.name, err)
	}
	return asked
}

func TestWhoGetsNoLimitsIsNotHeldUp(t *testing.T) {
	server := startBrief(t)
	store := connect(t, server)
	var asked atomic.Int32
	limits := withLimits(64 << 10)
	server.Set(sftptest.Faults{Answer: func(p []byte) []byte {
		if p = limits(p); p[0] == fxVersion && asked.Add(1) == 2 {
			return nil
		}
		return p
	}})
	for range 10 {
		if failed, late := listens(store); failed != nil || late != nil {
			t.Errorf("%v, %v", failed, late)
		}
	}
	eventually(t, "it asks for limits", func() bool { return asked.Load() == 2 })
	if n := server.Dials(); n != 1 {
		t.Errorf("%d dials", n)
	}
	within(t, 0, func() { store.Close() })
}
