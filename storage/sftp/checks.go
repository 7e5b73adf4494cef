package sftp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
)

// maxParallel bounds the checks that one Open has under way at once. A path of
// more components takes more round trips.
const maxParallel = 32

// checkPlain makes sure that name is a regular file and that no link leads
// there, as far as the server tells. It returns what the server says of it.
func (c *session) checkPlain(ctx context.Context, root, name string) (attrs attributes, err error) {
	var checks []func() error
	for _, dir := range parents(root, name) {
		checks = append(checks, func() error { return c.statDirectory(ctx, c.sftp.Lstat, dir) })
	}
	full := path.Join(root, name)
	var linkErr error
	err = together(append(checks,
		func() (err error) { attrs, err = c.statRegular(ctx, c.sftp.Lstat, full); return err },
		func() error { linkErr = c.checkUnlinked(ctx, root, full); return linkErr })...)
	missing, denied := errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission)
	if !missing && !denied {
		return attrs, err
	}
	// Where LSTAT follows links, this would tell what is behind them.
	if missing || !errors.Is(linkErr, fs.ErrInvalid) {
		linkErr = c.checkParents(ctx, root, name)
	}
	if errors.Is(linkErr, fs.ErrInvalid) {
		return attrs, linkErr
	}
	return attrs, err
}

// checkParents makes sure that no link is on the way to name.
func (c *session) checkParents(ctx context.Context, root, name string) error {
	var checks []func() error
	for _, dir := range parents(root, name) {
		checks = append(checks, func() error { return c.checkUnlinked(ctx, root, dir) })
	}
	return together(checks...)
}

// checkInside makes sure that name leads to a regular file inside root. It
// returns what the server says of it.
func (c *session) checkInside(ctx context.Context, root, name string) (attrs attributes, err error) {
	full := path.Join(root, name)
	err = together(
		func() error { return c.checkRealPath(ctx, root, full) },
		func() (err error) { attrs, err = c.statRegular(ctx, c.sftp.Stat, full); return err })
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		// Behind a link that leads out, this would tell what is there.
		if linkErr := c.checkLinks(ctx, root, name); linkErr != nil {
			return attrs, linkErr
		}
	}
	return attrs, err
}

// checkLinks makes sure that every link on the way to name, and name if it is
// one, leads inside root. What comes first on the way decides: a component
// that is missing, or a link that leads out or nowhere.
func (c *session) checkLinks(ctx context.Context, root, name string) error {
	var checks []func() error
	for _, full := range append(parents(root, name), path.Join(root, name)) {
		checks = append(checks, func() error { return c.checkLink(ctx, root, full) })
	}
	return together(checks...)
}

func (c *session) checkLink(ctx context.Context, root, full string) error {
	attrs, err := c.stat(ctx, c.sftp.Lstat, full)
	if err != nil {
		return err
	}
	if attrs.mode&modeType != modeLink {
		return c.checkRealPath(ctx, root, full) // there are servers whose LSTAT follows links
	}
	err = together(
		func() error { return c.checkRealPath(ctx, root, full) },
		func() error { _, err := c.stat(ctx, c.sftp.Stat, full); return err })
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: a symbolic link that leads nowhere", fs.ErrInvalid)
	}
	return err
}

// parents returns the directories between root and name, from the top.
func parents(root, name string) []string {
	var dirs []string
	for i, b := range []byte(name) {
		if b == '/' {
			dirs = append(dirs, path.Join(root, name[:i]))
		}
	}
	return dirs
}

// checkRealPath makes sure that full lies below root when the server has
// resolved the links in both.
func (c *session) checkRealPath(ctx context.Context, root, full string) error {
	base, target, err := c.realPaths(ctx, root, full)
	if err == nil && !strings.HasPrefix(target, strings.TrimSuffix(base, "/")+"/") {
		err = fmt.Errorf("%w: it leads out of the root", fs.ErrInvalid)
	}
	return err
}

// checkUnlinked makes sure that full is where it seems to be below root when
// the server has resolved the links in both. LSTAT alone does not tell: there
// are servers, ProFTPD for one, where it follows links.
func (c *session) checkUnlinked(ctx context.Context, root, full string) error {
	base, target, err := c.realPaths(ctx, root, full)
	if err == nil && !strings.EqualFold(target, path.Join(base, strings.TrimPrefix(full, root))) { // case may be a matter of the server
		err = fmt.Errorf("%w: a symbolic link leads there", fs.ErrInvalid)
	}
	return err
}

// realPaths resolves the links in root and in full. Neither is remembered: root
// may be a link that leads elsewhere tomorrow.
func (c *session) realPaths(ctx context.Context, root, full string) (base, target string, err error) {
	err = together(
		func() (err error) { base, err = c.realPath(ctx, root); return err },
		func() (err error) { target, err = c.realPath(ctx, full); return err })
	return base, target, err
}

func (c *session) realPath(ctx context.Context, name string) (string, error) {
	return call(ctx, c.conn, func() (string, error) {
		resolved, err := c.sftp.RealPath(name)
		if err == nil && resolved == "" {
			err = errMalformed
		}
		return resolved, err
	}, nil)
}

func (c *session) stat(ctx context.Context, stat func(string) (fs.FileInfo, error), name string) (attributes, error) {
	return call(ctx, c.conn, func() (attributes, error) { return toAttributes(stat(name)) }, nil)
}

func (c *session) statDirectory(ctx context.Context, stat func(string) (fs.FileInfo, error), name string) error {
	attrs, err := c.stat(ctx, stat, name)
	if err == nil {
		err = attrs.directory()
	}
	return err
}

func (c *session) statRegular(ctx context.Context, stat func(string) (fs.FileInfo, error), name string) (attributes, error) {
	attrs, err := c.stat(ctx, stat, name)
	if err == nil {
		err = attrs.regular()
	}
	return attrs, err
}

// together runs the checks at once, up to maxParallel of them, and returns the
// error of the first in order that has one.
func together(checks ...func() error) error {
	for batch := range slices.Chunk(checks, maxParallel) {
		errs := make([]error, len(batch))
		var group sync.WaitGroup
		for i, check := range batch {
			group.Go(func() { errs[i] = check() })
		}
		group.Wait()
		for _, err := range errs {
			if err != nil {
				return err
			}
		}
	}
	return nil
}
