package mount_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/mount"
	"storagesrv/storage/storagetest"
)

// eventually asserts that ok comes to hold soon.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for tick := time.Tick(10 * time.Millisecond); !ok(); <-tick {
		if time.Now().After(deadline) {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}

func opens(store storage.Store, name string) error {
	file, err := store.Open(context.Background(), name)
	if err == nil {
		file.Close()
	}
	return err
}

func TestAMountWithoutItsMarkerIsDown(t *testing.T) {
	tree := storagetest.NewTree(t)
	store := newStore(t, mount.Config{Root: tree.Root, Marker: ".here"})
	if err := opens(store, storagetest.SmallFile); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("without the marker: %v", err)
	}
	if h := store.Health(); h.Up || !strings.Contains(h.Reason, ".here") {
		t.Errorf("without the marker: %+v", h)
	}
	marker := tree.Path(".here")
	if err := os.WriteFile(marker, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := opens(store, storagetest.SmallFile); err != nil {
		t.Errorf("with the marker: %v", err)
	}
	if err := os.Remove(marker); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the loss is noticed", func() bool {
		return errors.Is(opens(store, storagetest.SmallFile), storage.ErrUnavailable) && !store.Health().Up
	})
	if err := opens(store, "missing.mp3"); errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file on a missing mount: %v", err)
	}
}

func TestNewRefusesAMarkerThatIsNoName(t *testing.T) {
	for _, marker := range []string{"a/b", "..", "/x", "a\x00"} {
		if _, err := mount.New(mount.Config{Root: t.TempDir(), Marker: marker}); err == nil || !strings.HasPrefix(err.Error(), "marker:") {
			t.Errorf("%q: %v", marker, err)
		}
	}
}

func TestAFileIsOpenedOnceForRangesInARow(t *testing.T) {
	tree := storagetest.NewTree(t)
	store := newStore(t, mount.Config{Root: tree.Root})
	eventually(t, "the mount is looked at", func() bool { return store.Health().Up })
	osFile := func() *os.File {
		file, err := store.Open(t.Context(), storagetest.BigFile)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		got, err := io.ReadAll(file)
		if want := tree.Files[storagetest.BigFile]; err != nil || string(got) != string(want) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		return file.(*mount.File).OSFile()
	}
	first := osFile()
	if osFile() != first {
		t.Error("it was opened again")
	}
	// Another file of the same name, and the same file written anew.
	tree.Files[storagetest.BigFile] = []byte("another")
	path := tree.Path(storagetest.BigFile)
	if err := errors.Join(os.WriteFile(path+".new", []byte("another"), 0o644), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
	if osFile() == first {
		t.Error("the old one is still read")
	}
	tree.Files[storagetest.BigFile] = []byte("a third")
	if err := errors.Join(os.WriteFile(path, []byte("a third"), 0o644), os.Chtimes(path, time.Time{}, storagetest.ModTime)); err != nil {
		t.Fatal(err)
	}
	osFile()
}

func TestListenersAtATimeHaveDescriptorsOfTheirOwn(t *testing.T) {
	tree := storagetest.NewTree(t)
	store := newStore(t, mount.Config{Root: tree.Root})
	seen := make(map[*os.File]bool)
	for range 3 {
		for range 2 { // the second time with files that are kept open
			file, err := store.Open(t.Context(), storagetest.BigFile)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if f := file.(*mount.File).OSFile(); seen[f] {
				t.Error("two listeners share a descriptor")
			} else {
				seen[f] = true
			}
		}
	}
}

func TestRenewFindsTheSameFileOnly(t *testing.T) {
	tree := storagetest.NewTree(t)
	store := newStore(t, mount.Config{Root: tree.Root})
	opened, err := store.Open(t.Context(), storagetest.BigFile)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	file := opened.(*mount.File)
	before := file.OSFile()
	if err := file.Renew(io.EOF); err != nil || file.OSFile() == before {
		t.Errorf("unchanged: %v", err)
	}
	before = file.OSFile()
	if err := file.Renew(context.DeadlineExceeded); !errors.Is(err, context.DeadlineExceeded) || file.OSFile() != before {
		t.Errorf("a mount that hangs is asked again: %v", err)
	}
	path := tree.Path(storagetest.BigFile)
	if err := errors.Join(os.WriteFile(path+".new", tree.Files[storagetest.BigFile], 0o644),
		os.Chtimes(path+".new", storagetest.ModTime, storagetest.ModTime), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
	if err := file.Renew(io.EOF); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("replaced by one that looks the same: %v", err)
	}
	if err := errors.Join(os.Remove(path)); err != nil {
		t.Fatal(err)
	}
	if err := file.Renew(io.EOF); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("removed: %v", err)
	}
	if got, err := io.ReadAll(file); err != nil || len(got) != len(tree.Files[storagetest.BigFile]) {
		t.Errorf("what was opened reads %d bytes, %v", len(got), err)
	}
}

func TestCheckNoticesAFileThatChanged(t *testing.T) {
	tree := storagetest.NewTree(t)
	store := newStore(t, mount.Config{Root: tree.Root})
	opened, err := store.Open(t.Context(), storagetest.BigFile)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	path := filepath.Join(tree.Root, filepath.FromSlash(storagetest.BigFile))
	file := opened.(*mount.File)
	if err := file.Check(); err != nil {
		t.Errorf("unchanged: %v", err)
	}
	content := tree.Files[storagetest.BigFile]
	for name, content := range map[string][]byte{"rewritten": content, "longer": append(content[:len(content):len(content)], "more"...)} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := file.Check(); !errors.Is(err, storage.ErrChanged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
