//go:build integration && linux

package mounttest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"storagesrv/storage/mount/mounttest"
	"storagesrv/storage/storagetest"
)

const (
	recording = "dir/a.mp3"
	size      = 300_000
)

var content = bytes.Repeat([]byte("abcdefghij"), size/10)

func TestMain(m *testing.M) {
	if root := os.Getenv(dieIn); root != "" {
		dieInMidHang(root)
	}
	storagetest.Main(m)
}

func startFaulty(t *testing.T, pageCache bool) *mounttest.Faulty {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "dir"), 0o755),
		os.WriteFile(filepath.Join(dir, recording), content, 0o644)); err != nil {
		t.Fatal(err)
	}
	f, err := mounttest.StartFaulty(mounttest.FaultyConfig{Dir: dir, PageCache: pageCache})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(f.Root()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("after Close, the root: %v", err)
		}
	})
	return f
}

// opened opens the recording in a mount.
func opened(t *testing.T, f *mounttest.Faulty) *os.File {
	t.Helper()
	file, err := os.Open(filepath.Join(f.Root(), recording))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// within returns what call does, and fails if that takes long.
func within(t *testing.T, call func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err := <-done:
		return err
	case <-time.After(time.Minute):
		t.Fatal("it does not return")
		return nil
	}
}

// awaitHanging waits until n calls hang, and returns them.
func awaitHanging(t *testing.T, f *mounttest.Faulty, n int) []mounttest.Call {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := f.AwaitHanging(ctx, n); err != nil {
		t.Fatal(err)
	}
	return f.Hanging()
}

func TestFaultyIsInOrderWithoutFaults(t *testing.T) {
	for _, pageCache := range []bool{false, true} {
		f := startFaulty(t, pageCache)
		file := opened(t, f)
		for range 2 {
			if got, err := io.ReadAll(io.NewSectionReader(file, 0, size)); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if entries, err := os.ReadDir(f.Root()); err != nil || len(entries) != 1 || entries[0].Name() != "dir" {
				t.Errorf("%v, %v", entries, err)
			}
		}
		if err := os.WriteFile(file.Name(), nil, 0o644); !errors.Is(err, syscall.EROFS) {
			t.Errorf("writing: %v", err)
		}
		if n := f.Calls(mounttest.Read); n == 0 || pageCache != (n < 10) {
			t.Errorf("with page cache %t, reading %d bytes twice took %d calls", pageCache, size, n)
		}
		if n := f.Calls(mounttest.Open); n != 1 {
			t.Errorf("%d calls of open", n)
		}
	}
}

// calls are system calls, on a mount with an open file, that make the kernel
// ask for each operation.
var calls = map[mounttest.Call]func(root string, file *os.File) error{
	{Op: mounttest.Lookup, Path: "dir"}: func(root string, _ *os.File) error {
		_, err := os.Lstat(filepath.Join(root, "dir"))
		return err
	},
	{Op: mounttest.Getattr, Path: recording}: func(_ string, file *os.File) error {
		_, err := file.Stat()
		return err
	},
	{Op: mounttest.Readlink, Path: "link"}: func(root string, _ *os.File) error {
		_, err := os.Readlink(filepath.Join(root, "link"))
		return err
	},
	{Op: mounttest.Open, Path: recording}: func(root string, _ *os.File) error {
		_, err := os.ReadFile(filepath.Join(root, recording))
		return err
	},
	{Op: mounttest.Read, Path: recording}: func(_ string, file *os.File) error {
		_, err := file.ReadAt(make([]byte, 10), 0)
		return err
	},
	{Op: mounttest.Flush, Path: recording}: func(root string, _ *os.File) error {
		file, err := os.Open(filepath.Join(root, recording))
		return errors.Join(err, file.Close())
	},
	{Op: mounttest.Opendir, Path: "dir"}: func(root string, _ *os.File) error {
		_, err := os.ReadDir(filepath.Join(root, "dir"))
		return err
	},
	{Op: mounttest.Readdir, Path: "."}: func(root string, _ *os.File) error {
		_, err := os.ReadDir(root)
		return err
	},
	{Op: mounttest.Statfs, Path: "."}: func(root string, _ *os.File) error {
		return syscall.Statfs(root, new(syscall.Statfs_t))
	},
}

func TestEachOperationHangsUntilItIsReleasedAndFails(t *testing.T) {
	f := startFaulty(t, false)
	if err := os.Symlink(recording, filepath.Join(f.Dir(), "link")); err != nil {
		t.Fatal(err)
	}
	file := opened(t, f)
	for call, makes := range calls {
		t.Run(string(call.Op), func(t *testing.T) {
			before := f.Calls(call.Op)
			f.Set(mounttest.Fault{Op: call.Op, Path: call.Path, Hang: true, Err: syscall.EIO})
			done := make(chan error, 1)
			go func() { done <- makes(f.Root(), file) }()
			if hanging := awaitHanging(t, f, 1); len(hanging) != 1 || hanging[0] != call {
				t.Errorf("%v hang", hanging)
			}
			if n := f.Calls(call.Op); n != before+1 {
				t.Errorf("%d calls, before %d", n, before)
			}
			f.Set(mounttest.Fault{Op: call.Op, Path: call.Path, Err: syscall.EIO}) // again, for what the kernel tries again
			select {
			case err := <-done:
				t.Errorf("ended before it was released: %v", err)
			default:
			}
			f.Release()
			if err := within(t, func() error { return <-done }); !errors.Is(err, syscall.EIO) {
				t.Error(err)
			}
			if hanging := f.Hanging(); len(hanging) > 0 {
				t.Errorf("%v hang", hanging)
			}
			f.Set()
			if err := within(t, func() error { return makes(f.Root(), file) }); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestFaultsHappenWhereAndAsOftenAsTheyShould(t *testing.T) {
	f := startFaulty(t, false)
	file := opened(t, f)
	read := func(offset int64) (int, error) { return file.ReadAt(make([]byte, 1000), offset) }
	f.Set(
		mounttest.Fault{Op: mounttest.Read, Offset: 200_000, Err: syscall.EIO, Times: 2},
		mounttest.Fault{Op: mounttest.Read, Path: recording, Offset: 100_500, Short: true},
		mounttest.Fault{Path: "elsewhere", Err: syscall.EACCES},
	)
	for _, want := range []struct {
		offset int64
		n      int
		err    error
	}{
		{0, 1000, nil}, {199_000, 0, io.EOF}, {200_000, 0, syscall.EIO}, {199_001, 0, syscall.EIO}, {200_000, 0, io.EOF},
		{99_500, 1000, nil}, {100_000, 500, io.EOF}, {100_500, 0, io.EOF},
	} {
		if n, err := read(want.offset); n != want.n || !errors.Is(err, want.err) {
			t.Errorf("at %d: %d, %v", want.offset, n, err)
		}
	}
	f.Set(mounttest.Fault{Op: mounttest.Read, Offset: 100_000, Length: 10, Err: syscall.EIO})
	for offset, want := range map[int64]error{99_000: nil, 99_001: syscall.EIO, 100_009: syscall.EIO, 100_010: nil} {
		if _, err := read(offset); !errors.Is(err, want) {
			t.Errorf("at %d of a fault in the middle: %v", offset, err)
		}
	}
	const late = 200 * time.Millisecond
	f.Set(mounttest.Fault{Delay: late})
	if start := time.Now(); func() error { _, err := read(0); return err }() != nil || time.Since(start) < late {
		t.Errorf("not delayed: %v", time.Since(start))
	}
}

func TestAMountThatGoesFreesWhatHangs(t *testing.T) {
	for _, test := range []struct {
		how   string
		leave func(*mounttest.Faulty) error
		after error // of a look at the root
	}{
		{"unmounted", (*mounttest.Faulty).Unmount, nil},
		{"disconnected", (*mounttest.Faulty).Disconnect, syscall.ENOTCONN},
	} {
		t.Run(test.how, func(t *testing.T) {
			f := startFaulty(t, false)
			for range 2 {
				file := opened(t, f)
				f.Set(mounttest.Fault{Hang: true})
				var hang sync.WaitGroup
				for range 20 {
					hang.Go(func() {
						if n, err := file.ReadAt(make([]byte, 10), 0); err == nil || err == io.EOF {
							t.Errorf("read %d bytes, %v", n, err)
						}
					})
				}
				awaitHanging(t, f, 20)
				if err := within(t, func() error { return test.leave(f) }); err != nil {
					t.Fatal(err)
				}
				within(t, func() error { hang.Wait(); return nil })
				if entries, err := os.ReadDir(f.Root()); len(entries) > 0 || !errors.Is(err, test.after) {
					t.Errorf("gone: %v, %v", entries, err)
				}
				if err := f.Mount(); err != nil {
					t.Fatal(err)
				}
				if got, err := os.ReadFile(filepath.Join(f.Root(), recording)); err != nil || !bytes.Equal(got, content) {
					t.Errorf("back: %d bytes, %v", len(got), err)
				}
			}
		})
	}
}

// dieIn names an environment variable with a directory. A process that has it
// mounts that, and dies while a call hangs.
const dieIn = "MOUNTTEST_DIE_IN"

func dieInMidHang(dir string) {
	f, err := mounttest.StartFaulty(mounttest.FaultyConfig{Dir: dir})
	if err != nil {
		panic(err)
	}
	f.Set(mounttest.Fault{Hang: true})
	go os.Stat(filepath.Join(f.Root(), recording))
	f.AwaitHanging(context.Background(), 1)
	os.Stdout.WriteString(f.Root())
	os.Exit(3)
}

func TestAProcessThatDiesInMidHangLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), dieIn+"="+t.TempDir())
	child.WaitDelay = time.Second
	root, err := child.Output()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("%s, %v", root, err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Lstat(filepath.Dir(string(root))); errors.Is(err, os.ErrNotExist) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is left", root)
		}
	}
}
