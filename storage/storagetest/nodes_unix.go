//go:build unix

package storagetest

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// addNodes adds a FIFO that nobody writes to and, where we may, a device.
func addNodes(t testing.TB, tree *Tree) {
	t.Helper()
	if err := unix.Mkfifo(tree.Path("fifo.mp3"), 0o644); err != nil {
		t.Fatal(err)
	}
	tree.Irregular = append(tree.Irregular, "fifo.mp3")
	if os.Getuid() != 0 {
		return
	}
	zero := int(unix.Mkdev(1, 5)) // /dev/zero, which would never end
	if err := unix.Mknod(tree.Path("device.mp3"), unix.S_IFCHR|0o644, zero); err == nil {
		tree.Irregular = append(tree.Irregular, "device.mp3")
	}
}
