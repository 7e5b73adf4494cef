// Package storagetest holds the tests that every [storage.Store] passes, bare
// and behind each decorator, and a Store that fails on demand.
//
//	func TestStore(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T, dir string, followLinks bool) storage.Store {
//			store, err := mount.New(mount.Config{Root: dir, FollowLinks: followLinks})
//			...
//			return store
//		})
//	}
package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"storagesrv/storage"
)

// A Factory returns a Store over a local directory. The store ends with t.
type Factory func(t *testing.T, dir string, followLinks bool) storage.Store

// Run tests the contract of [storage.Store] and [storage.File].
func Run(t *testing.T, newStore Factory) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *Tree, Factory)
	}{
		{"ReadsWhatIsThere", testReads},
		{"ReadsAsAReaderShould", testReader},
		{"RandomRangesEqualTheFile", testRandomRanges},
		{"ConcurrentReadersOfOneFile", testConcurrent},
		{"StatTellsSizeAndTime", testStat},
		{"MissingIsNotExist", testMissing},
		{"HostileNamesAreInvalid", testNames},
		{"IrregularFilesAreInvalidAndNobodyWaits", testIrregular},
		{"LinksAreDenied", testLinksDenied},
		{"LinksAreFollowedInsideOnly", testLinksFollowed},
		{"AMissingOrEmptyRootIsUnavailable", testRootGone},
		{"AnEndedContextEndsOpen", testContext},
		{"ReadsAfterCloseFail", testClosed},
		{"AReplacedFileKeepsItsBytes", testReplaced},
		{"AShrunkFileEndsEarlyAndSaysSo", testShrunk},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, NewTree(t), newStore) })
	}
}

// hangs is how long an Open may take in these tests before it counts as stuck.
const hangs = 30 * time.Second

func open(t testing.TB, store storage.Store, name string) storage.File {
	t.Helper()
	file, err := store.Open(t.Context(), name)
	if err != nil {
		t.Fatalf("open %.60q: %v", name, err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// refuses asserts that Open fails with a *fs.PathError around want, and soon.
func refuses(t testing.TB, store storage.Store, name string, want error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hangs)
	defer cancel()
	file, err := store.Open(ctx, name)
	if err == nil {
		file.Close()
		t.Errorf("open %.60q succeeded, want %v", name, want)
		return
	}
	if pathErr := (*fs.PathError)(nil); !errors.As(err, &pathErr) || !errors.Is(err, want) {
		t.Errorf("open %.60q: %v (%T), want a *fs.PathError around %v", name, err, err, want)
	}
}

func testReads(t *testing.T, tree *Tree, newStore Factory) {
	store := newStore(t, tree.Root, false)
	for name, want := range tree.Files {
		got, err := io.ReadAll(open(t, store, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%.60q: read %d bytes, %v; want %d", name, len(got), err, len(want))
		}
	}
}

func testReader(t *testing.T, tree *Tree, newStore Factory) {
	store := newStore(t, tree.Root, false)
	if err := iotest.TestReader(open(t, store, SmallFile), tree.Files[SmallFile]); err != nil {
		t.Error(err)
	}
}

func testRandomRanges(t *testing.T, tree *Tree, newStore Factory) {
	store := newStore(t, tree.Root, false)
	content := tree.Files[BigFile]
	rapid.Check(t, func(t *rapid.T) {
		file, err := store.Open(context.Background(), BigFile)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		for range rapid.IntRange(1, 6).Draw(t, "ranges") {
			offset := rapid.IntRange(0, len(content)).Draw(t, "offset")
			length := rapid.IntRange(0, 200_000).Draw(t, "length")
			want := content[offset:min(offset+length, len(content))]
			got := make([]byte, len(want))
			if rapid.Bool().Draw(t, "by ReadAt") {
				if n, err := file.ReadAt(got, int64(offset)); n != len(want) || err != nil && err != io.EOF {
					t.Fatalf("ReadAt %d+%d: %d, %v", offset, len(want), n, err)
				}
			} else {
				if _, err := file.Seek(int64(offset), io.SeekStart); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(file, got); err != nil {
					t.Fatalf("read %d+%d: %v", offset, len(want), err)
				}
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("wrong bytes at %d+%d", offset, len(want))
			}
		}
	})
}

func testConcurrent(t *testing.T, tree *Tree, newStore Factory) {
	store := newStore(t, tree.Root, false)
	shared := open(t, store, BigFile)
	content := tree.Files[BigFile]
	var group sync.WaitGroup
	for i := range 8 {
		random := rand.New(rand.NewPCG(1, uint64(i)))
		group.Go(func() {
			own, err := store.Open(t.Context(), BigFile)
			if err != nil {
				t.Error(err)
				return
			}
			defer own.Close()
			for range 10 {
				for _, file := range []storage.File{shared, own} {
					offset, got := random.IntN(len(content)-50_000), make([]byte, 50_000)
					if _, err := file.ReadAt(got, int64(offset)); err != nil {
						t.Error(err)
					} else if !bytes.Equal(got, content[offset:][:len(got)]) {
						t.Errorf("wrong bytes at %d", offset)
					}
				}
			}
		})
	}
	group.Wait()
}

func testStat(t *testing.T, tree *Tree, newStore Factory) {
	store := newStore(t, tree.Root, false)
	for name, content := range tree.Files {
		info, err := open(t, store, name).Stat()
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != int64(len(content)) || !info.Mode().IsRegular() || info.ModTime().Unix() != ModTime.Unix() {
			t.Errorf("%.60q: size %d, mode %v, modified %v", name, info.Size(), info.Mode(), info.ModTime())
		}
	}
}

func testMissing(t *testing.T, tree *Tree, newStore Factory) {
	store := newStore(t, tree.Root, false)
	for _, name := range []string{"missing.mp3", "missing/a.mp3", "dir/missing.mp3", SmallFile + "/a.mp3", strings.Repeat("a", 200)} {
		refuses(t, store, name, fs.ErrNotExist)
	}
}

func testNames(t *testing.T, tree *Tree, newStore Factory) {
	store := newStore(t, tree.Root, true)
	for _, name := range []string{
		"", ".", "..", "/", "./" + SmallFile, "../outside/secret.mp3", "dir/../" + SmallFile, "dir/../../outside/secret.mp3",
		"/" + SmallFile, tree.Root + "/" + SmallFile, "/etc/passwd", "dir//x.wav", "dir/", SmallFile + "/", SmallFile + "\x00",
		"a\nb", `..\outside\secret.mp3`, "\xff", strings.Repeat("a", 256), strings.Repeat("a/", 2100) + "a", strings.Repeat("a", 1<<20),
	} {
		refuses(t, store, name, fs.ErrInvalid)
	}
}

func testIrregular(t *testing.T, tree *Tree, newStore Factory) {
	store := newStore(t, tree.Root, false)
	for _, name := range tree.Irregular {
		refuses(t, store, name, fs.ErrInvalid)
	}
	if _, err := io.ReadAll(open(t, store, SmallFile)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func testLinksDenied(t *testing.T, tree *Tree, newStore Factory) {
	store := newStore(t, tree.Root, false)
	for name := range tree.LinksInside {
		refuses(t, store, name, fs.ErrInvalid)
	}
	for _, name := range tree.LinksOutside {
		refuses(t, store, name, fs.ErrInvalid)
	}
}

func testLinksFollowed(t *testing.T, tree *Tree, newStore Factory) {
	store := newStore(t, tree.Root, true)
	for name, target := range tree.LinksInside {
		got, err := io.ReadAll(open(t, store, name))
		if err != nil || !bytes.Equal(got, tree.Files[target]) {
			t.Errorf("%s: %d bytes, %v; want those of %s", name, len(got), err, target)
		}
	}
	for _, name := range tree.LinksOutside {
		refuses(t, store, name, fs.ErrInvalid)
	}
}

func testRootGone(t *testing.T, tree *Tree, newStore Factory) {
	store := newStore(t, tree.Root, false)
	open(t, store, SmallFile).Close()
	if err := os.Rename(tree.Root, tree.Root+".away"); err != nil {
		t.Fatal(err)
	}
	refuses(t, store, SmallFile, storage.ErrUnavailable)
	if err := os.Mkdir(tree.Root, 0o755); err != nil {
		t.Fatal(err)
	}
	refuses(t, store, SmallFile, storage.ErrUnavailable)
	if err := errors.Join(os.Remove(tree.Root), os.Rename(tree.Root+".away", tree.Root)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(open(t, store, SmallFile)); err != nil {
		t.Errorf("when it is back: %v", err)
	}
}

func testContext(t *testing.T, tree *Tree, newStore Factory) {
	store := newStore(t, tree.Root, false)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Open(canceled, SmallFile); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, err := store.Open(late, SmallFile); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("too late: %v", err)
	}
}

func testClosed(t *testing.T, tree *Tree, newStore Factory) {
	file := open(t, newStore(t, tree.Root, false), BigFile)
	if _, err := file.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := file.Read(make([]byte, 10)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Read: %v", err)
	}
	if _, err := file.ReadAt(make([]byte, 10), 100_000); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("ReadAt: %v", err)
	}
}

func testReplaced(t *testing.T, tree *Tree, newStore Factory) {
	store := newStore(t, tree.Root, false)
	file := open(t, store, BigFile)
	path, other := tree.Path(BigFile), []byte("another recording")
	if err := errors.Join(os.WriteFile(path+".new", other, 0o644), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(file)
	if !bytes.HasPrefix(tree.Files[BigFile], got) || err == nil && len(got) != len(tree.Files[BigFile]) {
		t.Errorf("open before: %d bytes that are not the file's, %v", len(got), err)
	}
	if err != nil && !errors.Is(err, storage.ErrChanged) { // as from servers that look at the path again
		t.Errorf("open before: %v", err)
	}
	if got, err := io.ReadAll(open(t, store, BigFile)); err != nil || !bytes.Equal(got, other) {
		t.Errorf("open after: %q, %v", got, err)
	}
}

func testShrunk(t *testing.T, tree *Tree, newStore Factory) {
	store := newStore(t, tree.Root, false)
	file := open(t, store, BigFile)
	if err := os.Truncate(tree.Path(BigFile), 100_000); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(file)
	if !bytes.HasPrefix(tree.Files[BigFile][:100_000], got) {
		t.Errorf("read %d bytes that are not among the first 100000", len(got))
	}
	if _, mounted := file.(interface{ OSFile() *os.File }); mounted && len(got) != 100_000 {
		t.Errorf("read %d bytes, want the first 100000", len(got))
	} else if !mounted && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("ended with %v", err)
	}
}
