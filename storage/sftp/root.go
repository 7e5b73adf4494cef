package sftp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"storagesrv/storage"
)

// errNoRoot marks a root that holds no recordings because nothing does.
var errNoRoot = errors.New("the root, as this account sees it, is missing or empty")

// checkRoot tells a server without the file from one whose disk is not
// mounted: there, the root is missing or empty.
func (c *session) checkRoot(ctx context.Context, root string) error {
	attrs, err := c.stat(ctx, c.sftp.Stat, root)
	if err == nil && attrs.directory() == nil {
		var empty bool
		empty, err = call(ctx, c.conn, func() (bool, error) { return c.isEmpty(root) }, nil)
		if err == nil && !empty || errors.Is(err, fs.ErrPermission) { // not to be listed is not to be empty
			return nil
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("%w: %w: %q", storage.ErrUnavailable, errNoRoot, root)
}

// isEmpty tells whether dir has no entries. Of a large directory it reads the
// first few hundred.
func (c *session) isEmpty(dir string) (bool, error) {
	entries, err := c.sftp.ReadDirContext(&countdown{Context: context.Background(), left: 3}, dir)
	if len(entries) > 0 || errors.Is(err, context.Canceled) {
		return false, nil
	}
	return err == nil, err
}

// A countdown is a context that ends after it was asked some times whether it
// has: pkg/sftp asks once for each packet, and knows no other way to stop
// reading a directory. An empty one takes three: open, "." and "..", the end.
type countdown struct {
	context.Context
	left int
}

var ended = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (c *countdown) Done() <-chan struct{} {
	if c.left--; c.left < 0 {
		return ended
	}
	return nil
}

func (c *countdown) Err() error {
	if c.left < 0 {
		return context.Canceled
	}
	return nil
}
