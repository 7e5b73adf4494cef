package sftp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/pkg/sftp"

	"storagesrv/storage"
)

// A handle is a file that is open in one session.
type handle struct {
	*session
	remote *sftp.File
	attrs  attributes // as it was opened
	primed []*prime   // reads that went with the opening
}

// openOn opens the recording called name in c, in two round trips: the looks
// at the path travel with the open, and the question what was opened with the
// first reads.
func (s *Store) openOn(ctx context.Context, c *session, name string, first ...span) (*handle, error) {
	full, err := s.path(name)
	if err != nil {
		return nil, err
	}
	if err := s.refused.check(name); err != nil {
		return nil, err
	}
	remote, looked, err := s.openLooked(ctx, c, name, full)
	if err != nil {
		return nil, err
	}
	h := &handle{session: c, remote: remote}
	c.handles.Add(1)
	for _, at := range first {
		h.primed = append(h.primed, newPrime(h, at))
	}
	if h.attrs, err = h.stat(ctx); err == nil {
		err = h.attrs.regular()
	}
	if err != nil {
		h.close()
		return nil, err
	}
	if !h.attrs.same(looked) { // it was written meanwhile: what was read may be older than attrs
		h.dropPrimed()
	}
	return h, nil
}

// path returns where name is on the server.
func (s *Store) path(name string) (string, error) {
	full := path.Join(s.config.Root, name)
	if len(full) > storage.MaxPath {
		return "", fmt.Errorf("%w: longer than %d bytes below the root", fs.ErrInvalid, storage.MaxPath)
	}
	return full, nil
}

// look makes sure that name is a recording that may be opened, and returns what
// the server says of it.
func (s *Store) look(ctx context.Context, c *session, name string) (attrs attributes, err error) {
	if s.config.FollowLinks {
		attrs, err = c.checkInside(ctx, s.config.Root, name)
	} else {
		attrs, err = c.checkPlain(ctx, s.config.Root, name)
	}
	return attrs, s.orNoRoot(ctx, c, err)
}

// orNoRoot makes sure that what is not there is not so for want of a root.
func (s *Store) orNoRoot(ctx context.Context, c *session, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		if rootErr := c.checkRoot(ctx, s.config.Root); rootErr != nil {
			return rootErr
		}
	}
	return err
}

// questions are what look asks before all else.
func (s *Store) questions(name, full string) []string {
	questions := []string{question(fxpRealpath, s.config.Root), question(fxpRealpath, full)}
	if s.config.FollowLinks {
		return append(questions, question(fxpStat, full))
	}
	for _, dir := range parents(s.config.Root, name) {
		questions = append(questions, question(fxpLstat, dir))
	}
	return append(questions, question(fxpLstat, full))
}

// openLooked looks at the path and opens it, in one round trip. It returns what
// it saw before, too.
func (s *Store) openLooked(ctx context.Context, c *session, name, full string) (remote *sftp.File, attrs attributes, err error) {
	questions := s.questions(name, full)
	sent := c.tap.await(questions)
	looked := make(chan error, 1)
	go func() { // ends with ctx or c at the latest, and is waited for
		var err error
		attrs, err = s.look(ctx, c, name)
		looked <- err
	}()
	select {
	case <-sent:
	case err := <-looked: // what was sent is known: there are more than can be asked at once
		looked <- err
	}
	c.tap.forget(questions)
	if len(looked) > 0 {
		if err := <-looked; err != nil {
			return nil, attrs, err
		}
		looked <- nil
	}
	opening := ask(c.conn, func() (*sftp.File, error) {
		remote, err := c.sftp.Open(full)
		if err == nil && remote == nil {
			err = errMalformed
		}
		return remote, err
	}, c.release)
	defer opening.abandon()
	if err := <-looked; err != nil {
		if errors.Is(err, fs.ErrInvalid) {
			s.takeBack(opening, name, err)
		}
		return nil, attrs, err
	}
	remote, err = opening.wait(ctx)
	return remote, attrs, s.orNoRoot(ctx, c, err)
}

// grace is how long the open of what should not be opened may take: its answer
// comes right behind that to the look, as a rule.
const grace = 100 * time.Millisecond

// takeBack gives up an open that should not have been. OpenSSH waits in an open
// of a FIFO until somebody writes to it, and the whole session with it: such a
// connection is ended, and the name is not asked about again for a while.
func (s *Store) takeBack(opening *request[*sftp.File], name string, reason error) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	remote, err := opening.wait(ctx)
	switch {
	case err == nil:
		opening.conn.release(remote)
	case ctx.Err() != nil:
		s.refused.add(name, reason)
		opening.conn.sever(fmt.Errorf("it hangs in an open of what is no recording: %w", reason))
	}
}

// release closes a file on the server, without waiting for it.
func (c *conn) release(remote *sftp.File) {
	c.spawn(func() { c.exchange(remote.Close) })
}

// stat asks what the file is now.
func (h *handle) stat(ctx context.Context) (attributes, error) {
	return call(ctx, h.conn, h.fstat, nil)
}

// fstat is stat on the goroutine of a request.
func (h *handle) fstat() (attributes, error) {
	attrs, err := toAttributes(h.remote.Stat())
	if errors.Is(err, fs.ErrClosed) { // which is how pkg/sftp takes an empty handle
		err = errMalformed
	}
	return attrs, err
}

// dropPrimed gives up what nobody has asked for.
func (h *handle) dropPrimed() {
	for _, p := range h.primed {
		p.abandon()
	}
	h.primed = nil
}

// close is called once.
func (h *handle) close() {
	h.dropPrimed()
	h.conn.used.Store(time.Now().Unix())
	h.conn.handles.Add(-1)
	h.conn.release(h.remote)
}
