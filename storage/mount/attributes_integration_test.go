//go:build linux && integration

package mount_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/mount"
	"storagesrv/storage/mount/mounttest"
)

// By sshfs the kernel knows the size of a file for 20 s, even when it opens
// another one by its name.
func TestWhatIsOpenedAnewBySSHFSHasItsOwnSize(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, recording, content)
	mounted := mountSSHFS(t, startOpenSSH(t), dir)
	store := newStore(t, mount.Config{Root: mounted.Root(), Timeout: time.Minute, Revalidate: 1})
	for _, want := range [][]byte{content, other, content[:1000]} {
		record(t, dir, "new.tmp", want)
		if err := os.Rename(filepath.Join(dir, "new.tmp"), filepath.Join(dir, recording)); err != nil {
			t.Fatal(err)
		}
		file := openFile(t, store, recording)
		info, err := file.Stat()
		if err != nil || info.Size() != int64(len(want)) {
			t.Errorf("it has %d bytes of %d, %v", info.Size(), len(want), err)
		}
		if got, err := io.ReadAll(file); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
		}
	}
}

// That is where sshfs itself remembers nothing: otherwise it answers for 20 s
// what it knew.
func TestAFileThatIsRewrittenIsNoticedOnSSHFSWithoutACache(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, recording, content)
	mounted := mountSSHFS(t, startOpenSSH(t), dir, "dir_cache=no")
	store := newStore(t, mount.Config{Root: mounted.Root(), Timeout: time.Minute})
	file := begun(t, store).(*mount.File)
	if err := file.Check(); err != nil {
		t.Errorf("as it was: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, recording), other[:len(content)], 0o644); err != nil {
		t.Fatal(err)
	}
	if err := file.Check(); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("rewritten: %v", err)
	}
}

// A read that comes short leaves the file shorter in the kernel's memory, and
// zeros in its page cache. They come to light when the mount is asked again.
func TestAFileThatWasReadShortIsNotTakenForWhole(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, recording, content)
	f := mountFaulty(t, mounttest.FaultyConfig{Dir: dir, PageCache: true, Remember: time.Hour})
	file := begun(t, newStore(t, mount.Config{Root: f.Root(), Timeout: time.Minute})).(*mount.File)
	if err := file.Check(); err != nil {
		t.Errorf("as it was: %v", err)
	}
	f.Set(mounttest.Fault{Op: mounttest.Read, Offset: 600_000, Short: true, Times: 1})
	if n, err := file.OSFile().ReadAt(make([]byte, 4096), 599_000); n != 1000 || err != io.EOF {
		t.Fatalf("what comes short: %d, %v", n, err)
	}
	if err := file.Check(); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("afterwards: %v", err)
	}
}
