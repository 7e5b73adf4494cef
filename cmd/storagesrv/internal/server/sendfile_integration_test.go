//go:build linux && integration

package server_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/mount"
	"storagesrv/storage/mount/mounttest"
)

// newFaultyRig makes a rig over a mount that fails on demand.
func newFaultyRig(t *testing.T, timeout time.Duration) (*rig, *mounttest.Faulty, *mount.Store) {
	t.Helper()
	var faulty *mounttest.Faulty
	var mounted *mount.Store
	r := newRig(t, rigConfig{store: func(t testing.TB, dir string) (store storage.Store, kind string) {
		var err error
		if faulty, err = mounttest.StartFaulty(mounttest.FaultyConfig{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := faulty.Close(); err != nil {
				t.Error(err)
			}
		})
		if mounted, err = mount.New(mount.Config{Root: faulty.Root(), Timeout: timeout}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { mounted.Close() })
		return mounted, "mount"
	}})
	return r, faulty, mounted
}

// inSendfile is where a fault meets the kernel's sending of a recording, and not
// the look before it at the last byte of what is to be sent.
func inSendfile(name string, fault mounttest.Fault) mounttest.Fault {
	fault.Op, fault.Path, fault.Offset, fault.Length = mounttest.Read, name, 5_000_001, 1
	return fault
}

func TestAMountThatFailsInMidSendfileIsToBlame(t *testing.T) {
	r, faulty, _ := newFaultyRig(t, patient)
	content := wav(long)
	for i, errno := range []syscall.Errno{syscall.ETIMEDOUT, syscall.ECONNRESET, syscall.EPIPE, syscall.EHOSTDOWN, syscall.EIO} {
		// What was sent once is sent from memory then.
		once, forGood := fmt.Sprintf("once-%d", i), fmt.Sprintf("for-good-%d", i)
		r.call(once, r.file(once+".wav", content))
		r.call(forGood, r.file(forGood+".wav", content))
		faulty.Set(inSendfile(once+".wav", mounttest.Fault{Err: errno, Times: 1}), inSendfile(forGood+".wav", mounttest.Fault{Err: errno}))
		if got := r.get("/recordings/" + once); got.err != nil || !bytes.Equal(got.body, content) {
			t.Errorf("%v once: %d bytes, %v", errno, len(got.body), got.err)
		}
		if got := r.get("/recordings/" + forGood); got.err == nil || !bytes.HasPrefix(content, got.body) {
			t.Errorf("%v for good: %d bytes, %v", errno, len(got.body), got.err)
		}
		r.awaitTruncated("mount", i+1)
	}
	if log := r.log.String(); strings.Contains(log, "the client left") {
		t.Errorf("the client is to blame: %s", log)
	}
}

func TestASendfileThatHangsCountsAsStuck(t *testing.T) {
	r, faulty, store := newFaultyRig(t, 2*time.Second)
	t.Cleanup(faulty.Release) // before the server is closed
	for n := range 3 {
		id := fmt.Sprintf("call-%d", n)
		r.call(id, r.file(id+".wav", wav(long)))
		faulty.Set(inSendfile(id+".wav", mounttest.Fault{Hang: true}))
		_, body := rawGet(t, r, "/recordings/"+id)
		if got, _ := io.Copy(io.Discard, body); got >= 2*long {
			t.Errorf("got all %d bytes", got)
		}
		await(t, fmt.Sprintf("%d stuck calls", n+1), func() bool { return store.Stuck() == n+1 })
	}
	if h := store.Health(); !h.Up {
		t.Errorf("%+v", h)
	}
	faulty.Release()
	await(t, "nothing to be stuck", func() bool { return store.Stuck() == 0 })
	await(t, "the end of the streams", func() bool { return r.server.Streams() == 0 })
}
