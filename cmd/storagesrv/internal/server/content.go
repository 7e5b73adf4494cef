package server

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"

	"storagesrv/storage"
)

// content is a recording for http.ServeContent: its size is what it was when
// it was opened, whatever is appended meanwhile, and the first error that ends
// it is kept. When its store fails it goes on in another one that has the
// same. The goroutine that writes multipart ranges may use it a little
// longer than ServeContent runs.
type content struct {
	*recording
	elsewhere func(tried []storage.Place) (*recording, error)
	took      func(offset, n int64) // told of what the client took

	mu     sync.Mutex
	offset int64           // guarded by mu: of the next Read
	until  int64           // guarded by mu: where reading is expected to stop
	failed error           // guarded by mu
	tried  []storage.Place // guarded by mu: where it could not be read at offset
	moved  *recording      // guarded by mu: where it is read, if not in recording
	closed bool            // guarded by mu

	untold    int64 // guarded by mu: bytes before offset that the client may have yet to take
	unchecked int   // guarded by mu: how much was read since the file was seen to be what it was
}

func (c *content) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekEnd {
		offset, whence = offset+c.size, io.SeekStart
	}
	c.tell()
	c.mu.Lock()
	defer c.mu.Unlock()
	at, err := c.source().Seek(offset, whence)
	if err == nil {
		c.offset = at
	}
	return at, err
}

// Read implements [io.Reader]. A panic of a store is its error: of several ranges,
// http.ServeContent reads on a goroutine where nobody else would catch it.
func (c *content) Read(p []byte) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			n, err = 0, panicked(r)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.keep(err)
		}
	}()
	return c.read(p)
}

func (c *content) read(p []byte) (int, error) {
	c.tell() // who reads on has written what was read before
	c.mu.Lock()
	source := c.source()
	c.mu.Unlock()
	n, err := source.Read(p)
	if lost := c.check(source, n); lost != nil {
		n, err = 0, lost
	}
	c.advance(int64(n))
	if err == nil || err == io.EOF && c.ended() {
		return n, err
	}
	if n == 0 && c.move(err) {
		return c.read(p)
	}
	return n, err
}

// check looks, now and then and before the last bytes, whether a mounted file
// is still what it was when it was opened. It is told of n bytes that were read.
func (c *content) check(source *recording, n int) error {
	file, ok := source.File.(mountedFile)
	if !ok || !source.settled {
		return nil
	}
	c.mu.Lock()
	c.unchecked += n
	due := c.unchecked >= largestPiece || c.offset+int64(n) >= c.until
	c.mu.Unlock()
	if !due {
		return nil
	}
	err := file.Check()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unchecked = 0
	if errors.Is(err, storage.ErrChanged) {
		c.keep(err)
	}
	return err
}

// A nextWriter is a storage.File that holds bytes that it read ahead, and can
// write them without a copy. wrote says that w has had its turn, so that an
// error is its.
type nextWriter interface {
	WriteNext(w io.Writer, limit int64) (n int, wrote bool, err error)
}

// writeTo writes n bytes to w, or what is left. Errors of reading are as Read
// keeps them.
func (c *content) writeTo(w io.Writer, n int64) (sent int64, err error) {
	for sent < n {
		c.mu.Lock()
		source, ok := c.source().File.(nextWriter)
		c.mu.Unlock()
		if !ok {
			more, err := copyByHand(w, io.LimitReader(c, n-sent))
			return sent + more, err
		}
		took, wrote, err := source.WriteNext(w, n-sent)
		c.skip(int64(took))
		sent += int64(took)
		switch {
		case err == nil:
		case wrote:
			return sent, err
		case err == io.EOF && c.ended():
			return sent, nil
		case !c.move(err):
			return sent, err
		}
	}
	return sent, nil
}

// source is what is read now. c.mu is held.
func (c *content) source() *recording {
	if c.moved != nil {
		return c.moved
	}
	return c.recording
}

// position is where the next Read begins.
func (c *content) position() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset
}

// skip notes that n bytes were read, by whomever, and that the client took them.
func (c *content) skip(n int64) {
	c.advance(n)
	c.tell()
}

// advance notes that n bytes were read, which the client may have yet to take.
func (c *content) advance(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.untold += n
	if c.offset += n; n > 0 {
		c.tried = nil
	}
}

// tell tells of all that was read that the client took it.
func (c *content) tell() {
	c.mu.Lock()
	n, end := c.untold, c.offset
	c.untold = 0
	c.mu.Unlock()
	c.took(end-n, n)
}

// ended reports whether there is nothing more to read.
func (c *content) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset >= c.size
}

// move goes on elsewhere after the store has failed with err. It reports
// whether that can be done: not where all have failed at the same place, nor
// after bytes that may be of two versions.
func (c *content) move(err error) bool {
	c.mu.Lock()
	if c.failed != nil {
		c.mu.Unlock()
		return false
	}
	c.tried = append(c.tried, c.source().place)
	tried, offset := c.tried, c.offset
	c.mu.Unlock()
	other := c.openElsewhere(tried, offset)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case other == nil:
		c.keep(err)
		return false
	case c.closed:
		other.Close()
		return false
	case c.moved != nil:
		c.moved.Close()
	}
	c.moved = other
	c.announce()
	return true
}

func (c *content) openElsewhere(tried []storage.Place, offset int64) *recording {
	other, err := c.elsewhere(tried)
	if err != nil {
		return nil // what is told is why the first one failed
	}
	if _, err = other.Seek(offset, io.SeekStart); err != nil {
		other.Close()
		return nil
	}
	return other
}

// here reports whether it is read where it was opened.
func (c *content) here() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.moved == nil
}

// keep keeps the first error. c.mu is held.
func (c *content) keep(err error) {
	if c.failed == nil {
		c.failed = err
	}
}

// failure is why the content could not be read to its end.
func (c *content) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// expect tells how much will be read from here on.
func (c *content) expect(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = c.offset + n
	c.announce()
}

// announce tells a File that reads ahead what is expected. c.mu is held.
func (c *content) announce() {
	if file, ok := c.source().File.(interface{ Expect(n int64) }); ok {
		file.Expect(c.until - c.offset)
	}
}

// close closes what was opened elsewhere.
func (c *content) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.moved != nil {
		c.moved.Close()
	}
}

// elsewhere opens rec in a store that is none of tried, if it is the same
// there: what has the same ETag, and is proved anew.
func (s *Server) elsewhere(ctx context.Context, rec *recording, tried []storage.Place) (*recording, error) {
	if !rec.settled || rec.fetched != nil {
		return nil, fs.ErrNotExist
	}
	other, err := s.provedElsewhere(ctx, rec, tried, func(other *recording) bool {
		return other.etag() == rec.etag() && other.format.Type == rec.format.Type
	})
	if err == nil {
		s.config.OnResume(other.place.Store)
	}
	return other, err
}

// provedElsewhere opens and proves rec's file in the first store that is none
// of tried and has one that fits.
func (s *Server) provedElsewhere(ctx context.Context, rec *recording, tried []storage.Place, fits func(*recording) bool) (*recording, error) {
	for {
		opened, place, err := s.config.Recordings.OpenElsewhere(ctx, rec.file.Path, tried...)
		if err != nil {
			return nil, err
		}
		tried = append(tried[:len(tried):len(tried)], place)
		other, err := newRecording(rec.call, rec.file, opened, place)
		if err != nil {
			continue
		}
		if s.prove(other) == nil && fits(other) {
			return other, nil
		}
		other.Close()
	}
}
