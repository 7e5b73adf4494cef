//go:build linux

package mounttest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// NFS is the kernel's NFS server of the guest that scripts/nfs boots.
type NFS struct{ dir string }

// OpenNFS returns the server of this machine, which must be such a guest: what
// is done to the server would not do elsewhere. It exports and runs.
func OpenNFS() (*NFS, error) {
	dir := os.Getenv("NFS_EXPORT")
	if dir == "" {
		return nil, errors.New("there is no NFS server to play with: run this by scripts/nfs")
	}
	return &NFS{dir}, nil
}

// Dir returns the directory that is exported, as "/" to NFS 4 and by its own
// name to NFS 3.
func (n *NFS) Dir() string { return n.dir }

// Stop stops the server. Whoever connects is refused.
func (n *NFS) Stop() error { return run("rpc.nfsd", "0") }

// Start starts the server again.
func (n *NFS) Start() error { return run("rpc.nfsd", "--no-udp", "2") }

// Export exports the directory again after Unexport.
func (n *NFS) Export() error {
	return run("exportfs", "-o", "rw,fsid=0,no_root_squash,no_subtree_check,insecure", "localhost:"+n.dir)
}

// Unexport lets no client at the directory any more.
func (n *NFS) Unexport() error { return run("exportfs", "-u", "localhost:"+n.dir) }

// An NFSMount is a mount of what an NFS server exports, until Close.
type NFSMount struct {
	root, source, options string
}

// Mount mounts what is exported on a new directory. options are those of
// mount, and begin with the version.
func (n *NFS) Mount(options string) (*NFSMount, error) {
	root, err := os.MkdirTemp(filepath.Dir(n.dir), "mount") // not in what is exported
	if err != nil {
		return nil, err
	}
	m := &NFSMount{root: root, source: "localhost:/", options: options}
	if strings.HasPrefix(options, "vers=3") {
		m.source = "localhost:" + n.dir
	}
	if err := m.Mount(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Root returns the directory on which it is mounted.
func (m *NFSMount) Root() string { return m.root }

// Mount mounts it again after Unmount.
func (m *NFSMount) Mount() error {
	return run("mount", "-t", "nfs", "-o", m.options, m.source, m.root)
}

// Unmount takes the mount away, from under open files, too. What hangs there
// fails.
func (m *NFSMount) Unmount() error { return detach(m.root) }

// Close unmounts, and removes the directory.
func (m *NFSMount) Close() error { return errors.Join(m.Unmount(), os.Remove(m.root)) }

// run runs a command, and returns what it complains about.
func run(command string, arguments ...string) error {
	if output, err := exec.Command(command, arguments...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", command, err, strings.TrimSpace(string(output)))
	}
	return nil
}
