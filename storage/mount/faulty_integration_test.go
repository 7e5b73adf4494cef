//go:build linux && integration

package mount_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/mount"
	"storagesrv/storage/mount/mounttest"
	"storagesrv/storage/storagetest"
)

// startFaulty mounts the recording and others.
func startFaulty(t testing.TB) *mounttest.Faulty {
	t.Helper()
	dir := t.TempDir()
	record(t, dir, recording, content)
	for i := range listeners {
		record(t, dir, another(i), content)
	}
	return mountFaulty(t, mounttest.FaultyConfig{Dir: dir})
}

func mountFaulty(t testing.TB, config mounttest.FaultyConfig) *mounttest.Faulty {
	t.Helper()
	f, err := mounttest.StartFaulty(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func TestFaultyKeepsTheContract(t *testing.T) {
	for _, pageCache := range []bool{false, true} {
		t.Run(fmt.Sprintf("page cache %t", pageCache), func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T, dir string, followLinks bool) storage.Store {
				f := mountFaulty(t, mounttest.FaultyConfig{Dir: dir, PageCache: pageCache})
				return sharpStore(t, f.Root(), followLinks)
			})
		})
	}
}

// hangs are those of each operation that a store waits for.
var hangs = []mounttest.Fault{
	{Op: mounttest.Lookup, Hang: true}, {Op: mounttest.Getattr, Hang: true}, {Op: mounttest.Open, Hang: true},
	{Op: mounttest.Read, Hang: true}, {Hang: true},
}

func TestAMountThatHangs(t *testing.T) {
	for _, fault := range hangs {
		t.Run(cmp.Or(string(fault.Op), "everything"), func(t *testing.T) {
			f := startFaulty(t)
			store := impatientStore(t, f.Root())
			held := begun(t, store)
			f.Set(fault)

			var calls sync.WaitGroup
			for i := range listeners {
				calls.Go(func() { triesInVain(t, store, another(i)) })
			}
			calls.Wait()
			isBounded(t, f)
			if fault.Op == "" || fault.Op == mounttest.Read {
				neverEnds(t, held, 500_000, prompt...)
			}
			if fault.Op == "" {
				becomes(t, store, false)
			}
			refusesAtOnce(t, store, another(0))
			isBounded(t, f)
			takes(t, bound, "Stat", func() error { _, err := held.Stat(); return err })

			f.Release()
			recovers(t, store)
			becomes(t, store, true)
			for i := range listeners {
				if err := reads(store, another(i)); err != nil {
					t.Errorf("%s: %v", another(i), err)
				}
			}
			rewind(t, held)
			isWhole(t, held, 1000)
		})
	}
}

// isBounded asserts that no more hangs in the kernel than may, besides a look at
// the root, and only once on each recording.
func isBounded(t testing.TB, f *mounttest.Faulty) {
	t.Helper()
	hanging, on := f.Hanging(), make(map[string]int)
	for _, call := range hanging {
		if on[call.Path]++; on[call.Path] == 2 && strings.HasSuffix(call.Path, ".mp3") {
			t.Errorf("more than one call hangs on %s", call.Path)
		}
	}
	if len(hanging) > mostStuck+1 {
		t.Errorf("%d calls hang: %v", len(hanging), hanging)
	}
	if n := inKernel(t); n > mostStuck+1 {
		t.Errorf("%d threads are in the kernel", n)
	}
}

func TestARecordingThatHangsCostsItsOwnListenersAlone(t *testing.T) {
	for _, fault := range hangs[:4] {
		t.Run(string(fault.Op), func(t *testing.T) {
			f := startFaulty(t)
			store := impatientStore(t, f.Root())
			fault.Path = recording
			f.Set(fault)
			var calls sync.WaitGroup
			for range listeners {
				calls.Go(func() { triesInVain(t, store, recording) })
			}
			calls.Wait()
			if n := inKernel(t); n > 1 {
				t.Errorf("%d threads are in the kernel", n)
			}
			isBounded(t, f)
			refusesAtOnce(t, store, recording)
			for i := range listeners {
				if err := reads(store, another(i)); err != nil {
					t.Errorf("%s: %v", another(i), err)
				}
			}
			f.Release()
			recovers(t, store)
		})
	}
}

func TestAMountThatIsSlowIsWell(t *testing.T) {
	const late = 250 * time.Millisecond
	f := startFaulty(t)
	store := patientStore(t, f.Root())
	f.Set(mounttest.Fault{Op: mounttest.Open, Delay: late}, mounttest.Fault{Op: mounttest.Read, Offset: 900_000, Delay: late})
	var calls sync.WaitGroup
	for i := range mostStuck {
		calls.Go(func() {
			if err := reads(store, another(i)); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	if h := store.Health(); !h.Up {
		t.Errorf("%+v", h)
	}
}

func TestACanceledContextEndsCallsThatHang(t *testing.T) {
	f := startFaulty(t)
	store := newStore(t, mount.Config{Root: f.Root(), Timeout: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	file, err := store.Open(ctx, recording)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { takes(t, bound, "Close", file.Close) })
	f.Set(mounttest.Fault{Op: mounttest.Open, Hang: true}, mounttest.Fault{Op: mounttest.Read, Hang: true})
	calls := map[string]func() error{
		"Open":   func() error { _, err := store.Open(ctx, another(0)); return err },
		"ReadAt": func() error { _, err := file.ReadAt(make([]byte, 10), 0); return err },
	}
	var ended sync.WaitGroup
	for name, call := range calls {
		ended.Go(func() {
			wants(t, name, takes(t, patient, name, call), context.Canceled)
		})
	}
	awaitHanging(t, f, len(calls))
	cancel()
	ended.Wait()
}

func awaitHanging(t testing.TB, f *mounttest.Faulty, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	if err := f.AwaitHanging(ctx, n); err != nil {
		t.Fatal(err)
	}
}

func TestCloseWaitsForNoMount(t *testing.T) {
	f := startFaulty(t)
	store := impatientStore(t, f.Root())
	var files []storage.File
	for i := range listeners {
		files = append(files, openFile(t, store, another(i)))
	}
	f.Set(mounttest.Fault{Hang: true})
	for _, file := range files {
		go file.Read(make([]byte, 10))
	}
	awaitHanging(t, f, 1)
	err := takes(t, bound, "Close", func() error {
		for _, file := range files {
			if err := file.Close(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	isBounded(t, f)
	f.Release()
	recovers(t, store)
}

// losses are errors of a system call on a file that the mount has lost.
var losses = []syscall.Errno{
	syscall.ESTALE, syscall.EBADF, syscall.EIO, syscall.ENOTCONN, syscall.ETIMEDOUT,
	syscall.EHOSTDOWN, syscall.EREMOTEIO, syscall.ECONNABORTED, syscall.ENODEV,
}

func TestAnErrorOnceGoesUnnoticed(t *testing.T) {
	f := startFaulty(t)
	store := patientStore(t, f.Root())
	for _, loss := range losses {
		t.Run(loss.Error(), func(t *testing.T) {
			file := begun(t, store)
			for range 2 { // it can be lost again
				f.Set(mounttest.Fault{Op: mounttest.Read, Offset: 500_000, Err: loss, Times: 1})
				got := make([]byte, 1000)
				if n, err := file.ReadAt(got, 600_000); err != nil || !bytes.Equal(got, content[600_000:601_000]) {
					t.Errorf("ReadAt: %d, %v", n, err)
				}
			}
			f.Set(mounttest.Fault{Op: mounttest.Read, Offset: 500_000, Err: loss, Times: 1})
			isWhole(t, file, 1000)
		})
	}
}

func TestAnErrorThatStaysIsUnavailable(t *testing.T) {
	f := startFaulty(t)
	store := patientStore(t, f.Root())
	for _, loss := range losses {
		t.Run(loss.Error(), func(t *testing.T) {
			file := begun(t, store)
			f.Set(mounttest.Fault{Op: mounttest.Read, Path: recording, Offset: 500_000, Err: loss})
			isLost(t, file, 1000, storage.ErrUnavailable)
			neverEnds(t, file, 600_000, storage.ErrUnavailable)
			wants(t, "opened anew", reads(store, recording), storage.ErrUnavailable)
			if err := reads(store, another(0)); err != nil {
				t.Errorf("another: %v", err)
			}
			f.Set(mounttest.Fault{Op: mounttest.Open, Path: recording, Err: loss})
			if _, err := store.Open(t.Context(), recording); !errors.Is(err, storage.ErrUnavailable) {
				t.Errorf("open: %v", err)
			}
			f.Set()
			recovers(t, store)
		})
	}
}

func TestAFileThatIsLostAndAnotherByNowHasChanged(t *testing.T) {
	f := startFaulty(t)
	path := filepath.Join(f.Dir(), recording)
	for name, change := range map[string]func(*testing.T){
		"replaced":  func(t *testing.T) { replace(t, f.Dir()) },
		"truncated": func(t *testing.T) { truncate(t, path) },
		"rewritten": func(t *testing.T) {
			if err := os.WriteFile(path, other[:len(content)], 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"removed": func(t *testing.T) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			record(t, f.Dir(), recording, content)
			file := begun(t, patientStore(t, f.Root()))
			f.Set(mounttest.Fault{Op: mounttest.Read, Path: recording, Err: syscall.ESTALE, Times: 1})
			change(t)
			isLost(t, file, 1000, storage.ErrChanged)
		})
	}
}

func TestAnEndBeforeTheSizeIsAnError(t *testing.T) {
	f := startFaulty(t)
	store := patientStore(t, f.Root())
	early := mounttest.Fault{Op: mounttest.Read, Path: recording, Offset: 524_288, Short: true}

	file := begun(t, store)
	f.Set(early)
	isLost(t, file, 1000, storage.ErrUnavailable, io.ErrUnexpectedEOF)
	neverEnds(t, file, 600_000, storage.ErrUnavailable, io.ErrUnexpectedEOF)
	f.Set()

	file = begun(t, store)
	early.Times = 1
	f.Set(early)
	isWholeOrLost(t, file, 1000, storage.ErrUnavailable, io.ErrUnexpectedEOF)
}

// goings are ways of a mount to go away.
var goings = map[string]func(*mounttest.Faulty) error{
	"unmounted":    (*mounttest.Faulty).Unmount,
	"disconnected": (*mounttest.Faulty).Disconnect,
	"unmounted from a directory that is not empty": func(f *mounttest.Faulty) error {
		return errors.Join(f.Unmount(), os.WriteFile(filepath.Join(f.Root(), "stray"), nil, 0o644))
	},
}

func TestAMountThatWentAwayIsUnavailable(t *testing.T) {
	for name, leave := range goings {
		t.Run(name, func(t *testing.T) {
			f := startFaulty(t)
			store := patientStore(t, f.Root())
			becomes(t, store, true)
			for range 2 { // it can go again
				file := begun(t, store)
				if err := leave(f); err != nil {
					t.Fatal(err)
				}
				for _, name := range []string{recording, another(0), "missing.mp3"} {
					wants(t, name, takes(t, bound, "Open", func() error {
						_, err := store.Open(t.Context(), name)
						return err
					}), storage.ErrUnavailable)
				}
				neverEnds(t, file, 500_000, storage.ErrUnavailable)
				becomes(t, store, false)

				if err := f.Mount(); err != nil {
					t.Fatal(err)
				}
				recovers(t, store)
				becomes(t, store, true)
				rewind(t, file)
				isWholeOrLost(t, file, 1000, storage.ErrUnavailable, storage.ErrChanged)
				if _, err := store.Open(t.Context(), "missing.mp3"); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("what is missing: %v", err)
				}
			}
		})
	}
}

func TestAMountThatGoesWhileItHangsFreesWhoWaits(t *testing.T) {
	for name, leave := range goings {
		t.Run(name, func(t *testing.T) {
			f := startFaulty(t)
			store := newStore(t, mount.Config{Root: f.Root(), Timeout: time.Minute})
			file := begun(t, store)
			f.Set(mounttest.Fault{Op: mounttest.Read, Hang: true})
			read := make(chan error, 1)
			go func() { _, err := file.ReadAt(make([]byte, 10), 0); read <- err }()
			awaitHanging(t, f, 1)
			if err := leave(f); err != nil {
				t.Fatal(err)
			}
			wants(t, "ReadAt", takes(t, patient, "ReadAt", func() error { return <-read }), storage.ErrUnavailable)
			if err := f.Mount(); err != nil {
				t.Fatal(err)
			}
			recovers(t, store)
		})
	}
}
