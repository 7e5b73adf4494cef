package storagetest

import (
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Files that every [Tree] has.
const (
	SmallFile = "dir/small.wav"
	BigFile   = "20131012/big file.mp3"
)

// ModTime is when the files of a Tree were modified.
var ModTime = time.Date(2013, 10, 12, 16, 38, 56, 0, time.UTC)

// A Tree is a directory of recordings, and of what must never be served,
// for tests.
type Tree struct {
	Root         string            // the directory that a store may open
	Files        map[string][]byte // regular files by name
	Irregular    []string          // names of directories, FIFOs, sockets, devices
	LinksInside  map[string]string // symbolic links, relative, to what is in Files
	LinksOutside []string          // names of, or below, symbolic links that lead out of Root or nowhere
}

// NewTree makes a Tree that is removed when t ends. Beside Root, in the
// directory outside, lies a file secret.mp3 that no store may read.
func NewTree(t testing.TB) *Tree {
	t.Helper()
	parent, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tree := &Tree{Root: filepath.Join(parent, "recordings")}
	tree.Files = map[string][]byte{
		SmallFile:           content(3_000),
		BigFile:             content(1<<20 + 7),
		"empty.mp3":         {},
		"packet.bin":        content(32 << 10),
		"-dash %2e#?&.mp3":  content(10),
		"ünï/日本語.mp3":       content(100),
		"...":               content(3),
		longName(200):       content(5), // some overlays take no 255
		"deep/" + deep(100): content(7),
	}
	write(t, filepath.Join(parent, "outside", "secret.mp3"), []byte("secret"))
	for name, content := range tree.Files {
		write(t, tree.Path(name), content)
	}
	tree.addIrregular(t)
	tree.addLinks(t, parent)
	return tree
}

// Path returns the local path of a file.
func (tree *Tree) Path(name string) string {
	return filepath.Join(tree.Root, filepath.FromSlash(name))
}

func (tree *Tree) addIrregular(t testing.TB) {
	tree.Irregular = []string{"dir", "20131012"}
	if runtime.GOOS == "windows" {
		return
	}
	addNodes(t, tree)
	// A socket's path is bounded to about 100 bytes, so it is made by its base name.
	t.Chdir(tree.Root)
	socket, err := net.Listen("unix", "socket.mp3")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	tree.Irregular = append(tree.Irregular, "socket.mp3")
}

func (tree *Tree) addLinks(t testing.TB, parent string) {
	tree.LinksInside = map[string]string{
		"link.wav":           SmallFile,
		"20131012/link.wav":  SmallFile,
		"linkdir/small.wav":  SmallFile,
		"linkdir2/small.wav": SmallFile,
	}
	tree.LinksOutside = []string{
		"out.mp3", "outdir/secret.mp3", "dir/out.mp3", "absolute.mp3", "absolutedir/secret.mp3", "passwd.mp3", "loop.mp3",
		"dangling.mp3", "outdir/nosuch.mp3",
	}
	for name, target := range map[string]string{
		"link.wav":          SmallFile,
		"20131012/link.wav": "../" + SmallFile,
		"linkdir":           "dir",
		"linkdir2":          "linkdir",
		"out.mp3":           "../outside/secret.mp3",
		"outdir":            "../outside",
		"dir/out.mp3":       "../../outside/secret.mp3",
		"absolute.mp3":      filepath.Join(parent, "outside", "secret.mp3"),
		"absolutedir":       filepath.Join(parent, "outside"),
		"passwd.mp3":        "/etc/passwd",
		"loop.mp3":          "loop.mp3",
		"dangling.mp3":      "gone.mp3",
	} {
		if err := os.Symlink(target, tree.Path(name)); err != nil {
			t.Fatal(err)
		}
	}
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, ModTime, ModTime); err != nil {
		t.Fatal(err)
	}
}

// content returns n bytes that differ from those of any other length.
func content(n int) []byte {
	random := rand.New(rand.NewPCG(uint64(n), 0))
	bytes := make([]byte, n)
	for i := range bytes {
		bytes[i] = byte(random.Uint32())
	}
	return bytes
}

func longName(n int) string { return strings.Repeat("n", n) }

func deep(n int) string { return strings.Repeat("d/", n) + "file.mp3" }
