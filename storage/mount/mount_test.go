package mount_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"storagesrv/storage"
	"storagesrv/storage/mount"
	"storagesrv/storage/storagetest"
)

func TestMain(m *testing.M) { storagetest.Main(m) }

func newStore(t testing.TB, config mount.Config) *mount.Store {
	t.Helper()
	store, err := mount.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func TestStore(t *testing.T) {
	storagetest.Run(t, func(t *testing.T, dir string, followLinks bool) storage.Store {
		return newStore(t, mount.Config{Root: dir, FollowLinks: followLinks})
	})
}

func TestStoreBehindARouter(t *testing.T) {
	storagetest.RunRouted(t, func(t *testing.T, dir string, followLinks bool) storage.Store {
		return newStore(t, mount.Config{Root: dir, FollowLinks: followLinks})
	})
}

func TestOpenGivesTheKernelAnOSFile(t *testing.T) {
	tree := storagetest.NewTree(t)
	file, err := newStore(t, mount.Config{Root: tree.Root}).Open(t.Context(), storagetest.SmallFile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if f, ok := file.(interface{ OSFile() *os.File }); !ok || f.OSFile() == nil {
		t.Errorf("got a %T, which sendfile does not take", file)
	}
}

func TestOpenFollowsALinkedRootAndAbsoluteLinksInside(t *testing.T) {
	tree := storagetest.NewTree(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := errors.Join(
		os.Symlink(tree.Root, link),
		os.Symlink(tree.Path(storagetest.SmallFile), tree.Path("absolute-inside.wav")),
		os.Symlink(tree.Path("dir"), tree.Path("absolute-dir")),
	); err != nil {
		t.Fatal(err)
	}
	store := newStore(t, mount.Config{Root: link, FollowLinks: true})
	for _, name := range []string{storagetest.SmallFile, "absolute-inside.wav", "absolute-dir/small.wav"} {
		file, err := store.Open(t.Context(), name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := io.ReadAll(file); err != nil || string(got) != string(tree.Files[storagetest.SmallFile]) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		file.Close()
	}
	deny := newStore(t, mount.Config{Root: link})
	if _, err := deny.Open(t.Context(), "absolute-inside.wav"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("denied link: %v", err)
	}
}

func TestHealthSeesTheRootComeAndGo(t *testing.T) {
	tree := storagetest.NewTree(t)
	store := newStore(t, mount.Config{Root: tree.Root})
	eventually(t, "it is there", func() bool { h := store.Health(); return h.Up && h.Reason == "" && !h.Since.IsZero() })
	if err := os.Rename(tree.Root, tree.Root+".away"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is gone", func() bool { h := store.Health(); return !h.Up && h.Reason != "" })
	if err := os.Rename(tree.Root+".away", tree.Root); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is back", func() bool { h := store.Health(); return h.Up && h.Reason == "" })
}

func TestNewRefusesARelativeRoot(t *testing.T) {
	if _, err := mount.New(mount.Config{Root: "recordings"}); err == nil {
		t.Error("accepted")
	}
}
