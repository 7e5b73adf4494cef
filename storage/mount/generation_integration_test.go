//go:build linux && integration

package mount_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"storagesrv/storage"
	"storagesrv/storage/mount"
	"storagesrv/storage/mount/mounttest"
)

// linkTo makes path a symbolic link to target, at once.
func linkTo(t testing.TB, path, target string) {
	t.Helper()
	if err := errors.Join(os.Symlink(target, path+".new"), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
}

// leadTo makes root a symbolic link to a mount, and waits until that is seen.
func leadTo(t testing.TB, root string, f *mounttest.Faulty) {
	t.Helper()
	linkTo(t, root, f.Root())
	looks := f.Calls(mounttest.Readdir)
	eventually(t, "the other mount is seen", func() bool { return f.Calls(mounttest.Readdir) >= looks+2 }) // one after the other
}

// hangAll makes as many calls hang in a store as may.
func hangAll(t testing.TB, f *mounttest.Faulty, store *mount.Store) {
	t.Helper()
	var calls sync.WaitGroup
	for i := range mostStuck {
		calls.Go(func() { triesInVain(t, store, another(i)) })
	}
	calls.Wait()
	awaitHanging(t, f, mostStuck)
	refusesAtOnce(t, store, recording)
}

// What hangs in a mount that was replaced costs the one that is there now
// nothing, however often that happens, and goes on being counted.
func TestAMountThatReplacesOneThatHangsIsWell(t *testing.T) {
	well, root := startFaulty(t), filepath.Join(t.TempDir(), "root")
	dead := []*mounttest.Faulty{startFaulty(t), startFaulty(t)}
	linkTo(t, root, dead[0].Root())
	store := impatientStore(t, root)
	for i, f := range dead {
		leadTo(t, root, f)
		f.Set(mounttest.Fault{Op: mounttest.Read, Hang: true})
		hangAll(t, f, store)
		leadTo(t, root, well)
		recovers(t, store)
		becomes(t, store, true)
		for i := range listeners {
			eventually(t, "another is read", func() bool { return reads(store, another(i)) == nil })
		}
		eventually(t, "what hangs is counted", func() bool { return store.Stuck() == (i+1)*mostStuck })
	}
	for _, f := range dead {
		f.Release()
	}
	eventually(t, "nothing is stuck", func() bool { return store.Stuck() == 0 })
	linkTo(t, root, dead[0].Root())
	recovers(t, store)
}

// Threads that hang are bounded, in however many mounts.
func TestWhatHangsInManyMountsIsBounded(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	linkTo(t, root, startFaulty(t).Root())
	store := impatientStore(t, root)
	most := 0
	for range 6 {
		f := startFaulty(t)
		leadTo(t, root, f)
		f.Set(mounttest.Fault{Op: mounttest.Read, Hang: true})
		for range 3 {
			var calls sync.WaitGroup
			for i := range listeners {
				calls.Go(func() { triesInVain(t, store, another(i)) })
			}
			calls.Wait()
		}
		most = max(most, store.Stuck())
	}
	if n := inKernel(t); n > 4*mostStuck+1 || most != 4*mostStuck {
		t.Errorf("%d threads hang, %d count as stuck", n, most)
	}
}

// cover mounts what another shows on root, past what hangs there.
func cover(t testing.TB, root string, other *mounttest.Faulty) {
	t.Helper()
	if err := errors.Join(unix.Unmount(root, unix.MNT_DETACH), unix.Mount(other.Root(), root, "", unix.MS_BIND, "")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(root, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

func TestAMountThatHangsAsAWholeCanBeReplaced(t *testing.T) {
	dead, well := startFaulty(t), startFaulty(t)
	store := impatientStore(t, dead.Root())
	held := begun(t, store)
	for i := range listeners { // kept open, to be closed
		if err := reads(store, another(i)); err != nil {
			t.Error(err)
		}
	}
	dead.Set(mounttest.Fault{Hang: true})
	hangAll(t, dead, store)
	neverEnds(t, held, 500_000, prompt...)
	cover(t, dead.Root(), well)
	recovers(t, store)
	becomes(t, store, true)
	for i := range listeners {
		if err := reads(store, another(i)); err != nil {
			t.Error(err)
		}
	}
	neverEnds(t, held, 500_000, prompt...)
	if n := store.Stuck(); n < mostStuck || n > mostStuck+mostLooks {
		t.Errorf("%d calls count as stuck", n)
	}
	dead.Release()
	eventually(t, "nothing is stuck", func() bool { return store.Stuck() == 0 })
}

// mostLooks is how many looks at a root may hang.
const mostLooks = 4

// descriptors returns how many files this process has open below a root.
func descriptors(t testing.TB, root string) (n int) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, root+"/") {
			n++
		}
	}
	return n
}

func TestACloseThatHangsKeepsNoOtherFileOpen(t *testing.T) {
	f := startFaulty(t)
	store := impatientStore(t, f.Root())
	becomes(t, store, true)
	f.Set(mounttest.Fault{Op: mounttest.Flush, Path: recording, Hang: true})
	closeSoon := func(name string) { // it is not kept
		ctx, cancel := context.WithCancel(t.Context())
		file, err := store.Open(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	closeSoon(recording)
	awaitHanging(t, f, 1)
	eventually(t, "what hangs is counted", func() bool {
		closeSoon(another(0))
		return store.Stuck() == 1
	})
	for i := range listeners {
		closeSoon(another(i))
	}
	eventually(t, "the others are closed", func() bool {
		closeSoon(another(0))
		return descriptors(t, f.Root()) <= 2
	})
	f.Release()
	eventually(t, "all are closed", func() bool { return descriptors(t, f.Root()) == 0 })
	eventually(t, "nothing is stuck", func() bool { return store.Stuck() == 0 })
}

// A file that is read on, in a mount that was taken from the root and is well,
// is read to its end.
func TestWhatIsHeldOfAMountThatWasReplacedGoesOn(t *testing.T) {
	before, after, root := startFaulty(t), startFaulty(t), filepath.Join(t.TempDir(), "root")
	linkTo(t, root, before.Root())
	store := impatientStore(t, root)
	file := begun(t, store)
	record(t, after.Dir(), recording, other)
	leadTo(t, root, after)
	after.Set(mounttest.Fault{Op: mounttest.Read, Hang: true})
	hangAll(t, after, store)
	isWhole(t, file, 1000)
	file.Close()
	// It is not what its name means now.
	if _, err := store.Open(t.Context(), recording); err == nil || !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("opened again: %v", err)
	}
	after.Release()
	eventually(t, "the other one is read", func() bool {
		err := reads(store, recording)
		return err != nil && strings.Contains(err.Error(), fmt.Sprintf("wrong bytes, %d of", len(other)))
	})
}
