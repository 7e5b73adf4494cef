//go:build linux && (integration || nfs)

package mount_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/mount"
)

const (
	// timeout is that of stores over a mount that hangs.
	timeout = 2 * time.Second
	// atOnce is how long whoever is refused at once may wait.
	atOnce = 500 * time.Millisecond
	// bound is how long each of their calls may take, on a busy machine.
	bound = timeout + 20*time.Second
	// patient is for what must come.
	patient = time.Minute
	// mostStuck is how many system calls may hang in such a store.
	mostStuck = 4
	// wellAgain is how long a store may take to notice that its mount is well, or
	// that it is not, and what serves it to be so again, on a busy machine.
	wellAgain = 30 * time.Second

	recording = "20131012/a.mp3"
)

// content is that of the recording: no two places in it are alike.
var content = func() []byte {
	random := rand.New(rand.NewPCG(1, 2))
	bytes := make([]byte, 1<<20+7)
	for i := range bytes {
		bytes[i] = byte(random.Uint32())
	}
	return bytes
}()

// other is what a file has that is not the recording, or not any more.
var other = bytes.Repeat([]byte("another recording "), len(content)/18+1)

// record writes a file below dir, as one that nobody has written to for an hour.
func record(t testing.TB, dir, name string, content []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	old := time.Now().Add(-time.Hour)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755),
		os.WriteFile(path, content, 0o644), os.Chtimes(path, old, old)); err != nil {
		t.Fatal(err)
	}
}

// replace puts another file in the place of the recording.
func replace(t testing.TB, dir string) {
	t.Helper()
	record(t, dir, "new.tmp", other)
	if err := os.Rename(filepath.Join(dir, "new.tmp"), filepath.Join(dir, recording)); err != nil {
		t.Fatal(err)
	}
}

// listeners is how many there are of other recordings than the recording.
const listeners = 20

func another(i int) string { return fmt.Sprintf("20131013/%02d.mp3", i) }

func truncate(t testing.TB, path string) {
	t.Helper()
	if err := os.Truncate(path, 100_000); err != nil {
		t.Fatal(err)
	}
}

// must does what is done to a server or a mount.
func must(t testing.TB, what ...func() error) {
	t.Helper()
	for _, do := range what {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
}

// impatientStore returns a store that gives up soon.
func impatientStore(t testing.TB, root string) *mount.Store {
	return newStore(t, mount.Config{Root: root, Timeout: timeout, MaxStuck: mostStuck})
}

// patientStore returns one for a mount on which nothing hangs.
func patientStore(t testing.TB, root string) *mount.Store {
	return newStore(t, mount.Config{Root: root, Timeout: patient, MaxStuck: mostStuck})
}

// sharpStore returns a store that takes nothing for known.
func sharpStore(t testing.TB, root string, followLinks bool) *mount.Store {
	return newStore(t, mount.Config{Root: root, FollowLinks: followLinks, Revalidate: 1})
}

func openFile(t testing.TB, store storage.Store, name string) storage.File {
	t.Helper()
	file, err := store.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { takes(t, bound, "Close", file.Close) })
	return file
}

// begun opens the recording and reads its first bytes. The first time that may
// take longer than the store's time-out, on a busy machine.
func begun(t testing.TB, store storage.Store) storage.File {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		file, err := begins(store)
		if err == nil {
			t.Cleanup(func() { takes(t, bound, "Close", file.Close) })
			return file
		}
		if wants(t, "the first bytes", err, prompt...); t.Failed() || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func begins(store storage.Store) (storage.File, error) {
	file, err := store.Open(context.Background(), recording)
	if err != nil {
		return nil, err
	}
	head := make([]byte, 1000)
	if _, err = io.ReadFull(file, head); err == nil && !bytes.Equal(head, content[:1000]) {
		err = errors.New("wrong bytes")
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// rewind goes back to where the first bytes end that begun has read.
func rewind(t testing.TB, file storage.File) {
	t.Helper()
	if _, err := file.Seek(1000, io.SeekStart); err != nil {
		t.Error(err)
	}
}

// reads opens the recording and reads all of it. An error that is nil says that
// it is right.
func reads(store storage.Store, name string) error {
	file, err := store.Open(context.Background(), name)
	if err != nil {
		return err
	}
	defer file.Close()
	got, err := io.ReadAll(file)
	if err == nil && !bytes.Equal(got, content) {
		err = fmt.Errorf("wrong bytes, %d of %d", len(got), len(content))
	}
	return err
}

// takes makes a call, returns its error, and fails the test if it takes longer
// than most. One that hangs is left behind.
func takes(t testing.TB, most time.Duration, what string, call func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- call() }() // ends with the mount, at the end of the test at the latest
	select {
	case err := <-done:
		return err
	case <-time.After(most):
		t.Errorf("%s takes longer than %v", what, most)
		return errHangs
	}
}

var errHangs = errors.New("it hangs")

// wants asserts that err is one of some.
func wants(t testing.TB, what string, err error, some ...error) {
	t.Helper()
	for _, want := range some {
		if err == want || want != nil && errors.Is(err, want) {
			return
		}
	}
	t.Errorf("%s: %v, not one of %v", what, err, some)
}

// prompt is what a store answers while its mount is not well.
var prompt = []error{storage.ErrUnavailable, context.DeadlineExceeded}

// recovers waits until the recording can be read by itself, as it should be
// soon. Until then nothing is said that is wrong.
func recovers(t testing.TB, store storage.Store) {
	t.Helper()
	deadline := time.Now().Add(wellAgain)
	for {
		err := takes(t, patient, "reading", func() error { return reads(store, recording) })
		if err == nil {
			return
		}
		if err == errHangs || time.Now().After(deadline) {
			t.Fatalf("not well again after %v: %v", wellAgain, err)
		}
		wants(t, "while it recovers", err, prompt...)
		time.Sleep(20 * time.Millisecond)
	}
}

// becomes waits until health says that the store is up, or down and why.
func becomes(t testing.TB, store *mount.Store, up bool) {
	t.Helper()
	deadline := time.Now().Add(wellAgain)
	for {
		h := store.Health()
		if h.Up == up && (h.Reason == "") == up {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %+v", wellAgain, h)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// triesInVain opens and reads a recording of a mount that hangs.
func triesInVain(t testing.TB, store storage.Store, name string) {
	t.Helper()
	var file storage.File
	err := takes(t, bound, "Open", func() (err error) {
		file, err = store.Open(context.Background(), name)
		return err
	})
	if err == nil {
		defer takes(t, bound, "Close", file.Close)
		err = takes(t, bound, "ReadAt", func() error { _, err := file.ReadAt(make([]byte, 1000), 500_000); return err })
	}
	wants(t, name, err, prompt...)
}

// refusesAtOnce waits until the store has noticed that calls hang, and asserts
// that it waits for no more of them.
func refusesAtOnce(t testing.TB, store storage.Store, name string) {
	t.Helper()
	tries := func() (time.Duration, error) {
		start := time.Now()
		err := reads(store, name)
		return time.Since(start), err
	}
	for deadline := time.Now().Add(bound); ; {
		took, err := tries()
		if took < atOnce && errors.Is(err, storage.ErrUnavailable) {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("not refused at once, but after %v: %v", took, err)
			return
		}
	}
	slow := 0
	for range 100 {
		took, err := tries()
		if !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("after %v: %v", took, err)
			return
		}
		if took > atOnce {
			slow++
		}
	}
	if slow > 20 { // a busy machine stalls now and then
		t.Errorf("%d of 100 were not refused at once", slow)
	}
}

// isLost asserts that what is read from offset on of a recording whose mount is
// not well is right as far as it goes, and ends with one of some errors, before
// the end.
func isLost(t testing.TB, file storage.File, offset int, some ...error) {
	t.Helper()
	got, err := restOf(t, file)
	if !bytes.HasPrefix(content[offset:], got) {
		t.Errorf("read %d bytes from %d that are not the recording's", len(got), offset)
	}
	wants(t, fmt.Sprintf("after %d of %d bytes", len(got), len(content)-offset), err, some...)
}

// isWhole asserts that what is read from offset on is the rest of the recording.
func isWhole(t testing.TB, file storage.File, offset int) {
	t.Helper()
	got, err := restOf(t, file)
	if err != nil || !bytes.Equal(got, content[offset:]) {
		t.Errorf("read %d bytes of the %d from %d, or others: %v", len(got), len(content)-offset, offset, err)
	}
}

// isWholeOrLost asserts that what is read is one or the other.
func isWholeOrLost(t testing.TB, file storage.File, offset int, some ...error) {
	t.Helper()
	got, err := restOf(t, file)
	if err == nil && !bytes.Equal(got, content[offset:]) || !bytes.HasPrefix(content[offset:], got) {
		t.Errorf("read %d bytes of the %d from %d, or others: %v", len(got), len(content)-offset, offset, err)
	}
	if err != nil {
		wants(t, fmt.Sprintf("after %d of %d bytes", len(got), len(content)-offset), err, some...)
	}
}

// findsWhatIsNew looks for a recording before it is there, has it written into
// dir, on the server, and asserts that it is found by whoever says that it may
// be new, whatever the mount remembers.
func findsWhatIsNew(t testing.TB, store storage.Store, dir string) {
	t.Helper()
	const name = "20131012/new.mp3"
	for range 2 {
		wants(t, "before it is there", reads(store, name), fs.ErrNotExist)
	}
	record(t, dir, name, content)
	file, err := store.Open(storage.WithFresh(t.Context()), name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	isWhole(t, file, 0)
}

// showsTheChange waits until the store gives what is at path, on the server, now.
// Until then it gives all of what was.
func showsTheChange(t testing.TB, store storage.Store, path string) {
	t.Helper()
	want, wantErr := os.ReadFile(path)
	for deadline := time.Now().Add(2 * wellAgain); ; time.Sleep(100 * time.Millisecond) {
		var got []byte
		err := takes(t, patient, "reading", func() error {
			file, err := store.Open(context.Background(), recording)
			if err != nil {
				return err
			}
			defer file.Close()
			got, err = io.ReadAll(file)
			return err
		})
		if wantErr == nil && err == nil && bytes.Equal(got, want) || wantErr != nil && errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err == nil && !bytes.Equal(got, content) {
			t.Errorf("%d bytes that are neither", len(got))
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %d bytes, %v", len(got), err)
		}
	}
}

func restOf(t testing.TB, file storage.File) (got []byte, err error) {
	t.Helper()
	err = takes(t, patient, "reading", func() (err error) {
		got, err = io.ReadAll(file)
		return err
	})
	return got, err
}

// neverEnds asserts that reading at an offset fails with one of some errors,
// and soon, by Read and by ReadAt.
func neverEnds(t testing.TB, file storage.File, offset int64, some ...error) {
	t.Helper()
	buffer := make([]byte, 1000)
	err := takes(t, bound, "ReadAt", func() error { _, err := file.ReadAt(buffer, offset); return err })
	wants(t, "ReadAt", err, some...)
	err = takes(t, bound, "Read", func() error {
		if _, err := file.Seek(offset, io.SeekStart); err != nil {
			return err
		}
		_, err := file.Read(buffer)
		return err
	})
	wants(t, "Read", err, some...)
}
