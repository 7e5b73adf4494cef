//go:build integration && linux

package server_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"storagesrv/storage/mount/mounttest"
)

// begun is how much a listener has of a recording before something happens.
const begun = 50_000

// listens begins to listen on a connection of its own.
func (h *hangRig) listens(id string) io.Reader {
	h.t.Helper()
	_, body := rawGet(h.t, h.rig, "/recordings/"+id)
	if _, err := io.ReadFull(body, make([]byte, begun)); err != nil {
		h.t.Fatal(err)
	}
	return body
}

// keep holds a file of the mount open, and returns what makes the kernel forget
// what it has read of it.
func (h *hangRig) keep(name string) (forget func()) {
	h.t.Helper()
	file, err := os.Open(filepath.Join(h.faulty.Root(), name))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { file.Close() })
	return func() {
		if err := unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
			h.t.Fatal(err)
		}
	}
}

func TestListenersOfAMountThatHangsInMidstreamAreFreed(t *testing.T) {
	for _, pageCache := range []bool{true, false} {
		t.Run(fmt.Sprintf("page cache %t", pageCache), func(t *testing.T) {
			h := newHangRig(t, hangConfig{pageCache: pageCache})
			content := noisy(sharp, 1)
			bodies := make([]io.Reader, 6)
			forget := make([]func(), len(bodies))
			for i := range bodies {
				h.call(call(i), h.file(file(i), content))
				forget[i] = h.keep(file(i))
			}
			before := threads(t)
			for i := range bodies {
				bodies[i] = h.listens(call(i))
			}
			h.faulty.Set(mounttest.Fault{Op: mounttest.Read, Offset: 1, Hang: true})
			for i := range bodies {
				forget[i]()
			}
			start := time.Now()
			var listeners sync.WaitGroup
			for i, body := range bodies {
				listeners.Go(func() {
					n, err := io.Copy(io.Discard, body)
					if took := time.Since(start); begun+n >= int64(len(content)) || took > 2*hangTimeout+hangSlack {
						t.Errorf("listener %d got %d more bytes and %v, after %v", i, n, err, took)
					}
				})
			}
			listeners.Wait()
			if n := threads(t) - before; n > len(bodies)+mostStuck+32 {
				t.Errorf("%d more threads than before", n)
			}
			h.checkCut(fmt.Sprint(len(bodies)))
			if !strings.Contains(h.log.String(), `the kernel hangs in the mount"`) {
				t.Errorf("no sendfile has hung:\n%s", h.log)
			}
			h.faulty.Release()
			await(t, "the streams to end", func() bool { return h.server.Streams() == 0 })
			h.checkCut(fmt.Sprint(len(bodies)))
			h.awaitPlays("/recordings/"+call(0), content)
		})
	}
}

// A mount that is slow feeds its listeners little by little, and each bit is
// gone before anybody looks.
func TestAMountThatIsSlowCutsNobody(t *testing.T) {
	h := newHangRig(t, hangConfig{})
	content := noisy(800_000, 1)
	h.call("call-1", h.file("a.wav", content))
	h.faulty.Set(mounttest.Fault{Op: mounttest.Read, Delay: hangTimeout / 8})
	got := h.get("/recordings/call-1")
	if got.err != nil || !bytes.Equal(got.body, content) {
		t.Errorf("%d, %d bytes of %d, %v\n%s", got.status, len(got.body), len(content), got.err, h.log)
	}
}

func TestAListenerWhoPausesIsCutByTheStallTimeoutAlone(t *testing.T) {
	const stall = 2 * hangTimeout
	h := newHangRig(t, hangConfig{pageCache: true, stall: stall})
	h.call("call-1", h.file("a.wav", noisy(sharp, 1)))
	start := time.Now()
	body := h.listens("call-1")
	await(t, "the cut", func() bool { return strings.Contains(h.log.String(), "took nothing for") })
	if took := time.Since(start); took < stall {
		t.Errorf("cut after %v", took)
	}
	if n, _ := io.Copy(io.Discard, body); begun+n >= sharp {
		t.Errorf("got %d bytes", n)
	}
	h.checkCut("0")
}

// midstreamFaults are what reading fails with that has gone well so far, and
// what the log says of it.
var midstreamFaults = map[string]mounttest.Fault{
	"input/output error": {Err: syscall.EIO, Offset: 1_000_000},
	"stale":              {Err: syscall.ESTALE, Offset: 1_000_000},
	"EOF":                {Short: true, Offset: 1_000_000},
}

func TestAReadThatFailsOnceInMidstreamGoesUnnoticed(t *testing.T) {
	for name, fault := range midstreamFaults {
		t.Run(name, func(t *testing.T) {
			h := newHangRig(t, hangConfig{})
			content := noisy(sharp, 1)
			h.call("call-1", h.file("a.wav", content))
			_, body := rawGet(t, h.rig, "/recordings/call-1")
			fault.Op, fault.Times = mounttest.Read, 1
			h.faulty.Set(fault)
			got := make([]byte, len(content))
			if n, err := io.ReadFull(body, got); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes, %v\n%s", n, err, h.log)
			}
			h.checkCut("0")
		})
	}
}

func TestAReadThatFailsForGoodInMidstreamCutsTheBody(t *testing.T) {
	for name, fault := range midstreamFaults {
		t.Run(name, func(t *testing.T) {
			h := newHangRig(t, hangConfig{})
			content := noisy(sharp, 1)
			h.call("call-1", h.file("a.wav", content))
			h.awaitPlays("/recordings/call-1", content)
			fault.Op = mounttest.Read
			h.faulty.Set(fault)
			got := h.get("/recordings/call-1")
			if got.status != 200 || got.err == nil || !bytes.HasPrefix(content, got.body) || int64(len(got.body)) > fault.Offset {
				t.Errorf("%d, %d bytes, %v", got.status, len(got.body), got.err)
			}
			h.checkCut("1")
			if why := fmt.Sprint(h.logged(got)); !strings.Contains(why, "the storage failed after") || !strings.Contains(why, name) {
				t.Errorf("the log does not say %q: %s", name, why)
			}
		})
	}
}
