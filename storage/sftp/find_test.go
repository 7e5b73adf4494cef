package sftp_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"storagesrv/storage"
	"storagesrv/storage/sftp"
	"storagesrv/storage/sftp/sftptest"
	"storagesrv/storage/storagetest"
)

func follow(c *sftp.Config) { c.FollowLinks = true }

func TestLinksTellNothingOfWhatIsOutside(t *testing.T) {
	tree := storagetest.NewTree(t)
	server := start(t, sftptest.Config{Dir: filepath.Dir(tree.Root)})
	root := func(c *sftp.Config) { c.Root = "/" + filepath.Base(tree.Root) }
	tellsNothing(t, connect(t, server, root, follow))
}

func TestLinksAreDeniedWhereLSTATFollowsThem(t *testing.T) {
	tree := storagetest.NewTree(t)
	server := start(t, sftptest.Config{Dir: filepath.Dir(tree.Root)})
	server.Set(sftptest.Faults{LstatFollows: true})
	root := func(c *sftp.Config) { c.Root = "/" + filepath.Base(tree.Root) }
	store, following := connect(t, server, root), connect(t, server, root, follow)
	for name := range tree.LinksInside {
		if _, err := store.Open(t.Context(), name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{
		"outdir/secret.mp3", "outdir/nosuch.mp3", "outdir/no/such.mp3", "outdir/secret.mp3/a.mp3", "absolutedir/nosuch.mp3", "passwd.mp3", "dir/out.mp3",
	} {
		for _, store := range []storage.Store{store, following} {
			if _, err := store.Open(t.Context(), name); !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for name, content := range tree.Files {
		if err := isExact(store, name, content, 1); err != nil {
			t.Errorf("%.60q: %v", name, err)
		}
	}
}

// tellsNothing asserts that a store over a [storagetest.Tree], which follows
// links, answers the same behind a link that leads out or nowhere, whatever is
// there, and that other links tell what is missing.
func tellsNothing(t *testing.T, store storage.Store) {
	t.Helper()
	for want, names := range map[error][]string{
		fs.ErrInvalid: {
			"outdir/secret.mp3", "outdir/nosuch.mp3", "outdir/no/such.mp3", "outdir/secret.mp3/a.mp3",
			"absolutedir/nosuch.mp3", "out.mp3/a.mp3", "dangling.mp3", "dangling.mp3/a.mp3", "loop.mp3/a.mp3",
		},
		fs.ErrNotExist: {
			"nosuch.mp3", "no/such.mp3", "gone.mp3", "nosuch/outdir/secret.mp3", storagetest.SmallFile + "/a.mp3",
			"linkdir/nosuch.mp3", "linkdir2/no/such.mp3", "link.wav/a.mp3", "deep/" + strings.Repeat("d/", 50) + "nosuch.mp3",
		},
	} {
		for _, name := range names {
			if _, err := store.Open(t.Context(), name); !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", name, err, want)
			}
		}
	}
}

func TestAMissingFileCostsLittleInALargeRoot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 5000 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.mp3", i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	server := start(t, sftptest.Config{Dir: dir})
	store := connect(t, server)
	var listings atomic.Int32
	server.Set(sftptest.Faults{Answer: on(fxName, func(p []byte) []byte {
		if binary.BigEndian.Uint32(p[afterID:]) > 1 { // one is the answer to REALPATH
			listings.Add(1)
		}
		return p
	})})
	_, err := store.Open(t.Context(), "missing.mp3")
	wants(t, err, fs.ErrNotExist)
	if n := listings.Load(); n < 1 || n > 5 { // of 50
		t.Errorf("read the root in %d packets", n)
	}
	if n := server.Dials(); n != 1 {
		t.Errorf("%d dials", n)
	}
}

func TestAnEmptyRootIsUnavailable(t *testing.T) {
	for name, dots := range map[string]bool{"nothing": false, "dots": true} {
		t.Run(name, func(t *testing.T) {
			server := start(t, sftptest.Config{Dir: t.TempDir()})
			store := connect(t, server)
			server.Set(sftptest.Faults{Answer: on(fxStatus, func(p []byte) []byte {
				if end := binary.BigEndian.Uint32(p[afterID:]) == 1; end && dots {
					dots = false
					return dotsOnly(p)
				}
				return p
			})})
			_, err := store.Open(t.Context(), recording)
			wants(t, err, unavailable)
			if err == nil || !strings.Contains(err.Error(), "empty") || dots {
				t.Errorf("for another reason: %v", err)
			}
			if n := server.Dials(); n != 1 {
				t.Errorf("%d dials", n)
			}
		})
	}
}

// Who configures a root as the server calls it, and not as an account sees it that
// is confined, should find that in the log.
func TestARootThatIsMissingIsInTheLog(t *testing.T) {
	server := start(t, sftptest.Config{Dir: t.TempDir()})
	var log lockedBuffer
	store := connect(t, server, func(c *sftp.Config) { c.Root, c.Logger = "/nope", slog.New(slog.NewTextHandler(&log, nil)) })
	for range 2 {
		_, err := store.Open(t.Context(), recording)
		wants(t, err, unavailable)
	}
	if text := log.String(); strings.Count(text, "level=WARN") != 1 || !strings.Contains(text, "/nope") {
		t.Errorf("the log is %s", text)
	}
	if h := store.Health(); h.Up || !strings.Contains(h.Reason, "/nope") {
		t.Errorf("%+v", h)
	}
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// dotsOnly returns a listing of "." and "..", as most servers send of an empty
// directory before they say that it ends, in place of packet.
func dotsOnly(packet []byte) []byte {
	listing := append([]byte{fxName}, packet[1:afterID]...)
	listing = binary.BigEndian.AppendUint32(listing, 2)
	for _, name := range []string{".", ".."} {
		for range 2 { // the name, and the line that ls -l would print
			listing = binary.BigEndian.AppendUint32(listing, uint32(len(name)))
			listing = append(listing, name...)
		}
		listing = append(listing, 0, 0, 0, 0) // no attributes
	}
	return listing
}

func TestAPathTooLongForTheServerIsInvalid(t *testing.T) {
	server := start(t, sftptest.Config{})
	store := connect(t, server, func(c *sftp.Config) { c.Root = "/" + strings.Repeat("r", 1000) })
	_, err := store.Open(t.Context(), strings.Repeat("n/", 1600)+"a")
	wants(t, err, fs.ErrInvalid)
}
