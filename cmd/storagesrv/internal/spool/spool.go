// Package spool keeps copies of recordings on disk, for as long as somebody
// listens and a little longer, so that any range of what comes only whole and in
// order can be read.
//
//	s, err := spool.New(spool.Config{Dir: "/var/tmp", Size: 1 << 30})
//	file := s.Open(ctx, key)
//	if file == nil {
//		file = s.Fill(ctx, key, spool.Source{Body: response.Body, Size: response.ContentLength})
//	}
//	defer file.Close()
//	http.ServeContent(w, r, "", file.Modified(), file)
//
// A copy can be read while it is still coming: reading waits for what is not
// there yet. All copies together never take more than Size bytes. Their files have
// no names where the operating system allows that, so that nothing is left of
// them whatever becomes of the process; elsewhere [New] removes what is left.
package spool

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// ErrFull is why there is no copy: too little room is left, or the disk takes
// no more.
var ErrFull = errors.New("the spool is full")

// Config says where copies are and how long.
type Config struct {
	Dir  string // must exist; other programs, and other spools, may use it too
	Size int64  // bytes that all copies may take together

	// Keep is how long a copy stays when nobody reads it, unless its room is
	// needed; 0: 1 min. Linger is how long it goes on coming when nobody reads it:
	// players leave one request to make the next; 0: 3 s.
	Keep, Linger time.Duration
}

// A Source is where a copy comes from.
type Source struct {
	Body     io.ReadCloser // Close must end a Read under way
	Size     int64         // of the whole; -1 if it is not known
	ETag     string        // of this version, if there is one
	Modified time.Time     // zero if it is not known
}

// A Spool is safe for concurrent use.
type Spool struct {
	config   Config
	newFile  func() (*os.File, error)
	keepName bool           // as on an operating system that does not remove open files
	running  sync.WaitGroup // of the copies that are coming

	// mu guards what is below, and the state of each copy that is not its own.
	mu     sync.Mutex
	closed bool
	used   int64            // bytes that are spoken for
	copies map[string]*item // that can be opened, by key
}

// New returns an empty spool. It removes what spools left in the directory that
// are no more.
func New(config Config) (*Spool, error) {
	if config.Keep == 0 {
		config.Keep = time.Minute
	}
	if config.Linger == 0 {
		config.Linger = 3 * time.Second
	}
	s := &Spool{config: config, copies: make(map[string]*item)}
	s.newFile = func() (*os.File, error) { return os.CreateTemp(config.Dir, prefix+"*"+suffix) }
	if err := clean(config.Dir); err != nil {
		return nil, err
	}
	probe, named, err := s.create() // whether that works is to be known before it is needed
	if err != nil {
		return nil, err
	}
	discard(probe, named)
	return s, nil
}

// Open returns the copy that there is of key, or nil. ctx governs the file. It
// is to be closed.
func (s *Spool) Open(ctx context.Context, key string) *File {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.copies[key]; i != nil {
		return s.join(ctx, i)
	}
	return nil
}

// Fill is Open, or begins a copy of source if there is none. The body is closed in
// the end, at once if it is not needed. What fails, reading the file fails with:
// ErrFull, or an error of the body's.
func (s *Spool) Fill(ctx context.Context, key string, source Source) *File {
	file, needed := s.fill(ctx, key, source)
	if !needed {
		source.Body.Close()
	}
	return file
}

func (s *Spool) fill(ctx context.Context, key string, source Source) (_ *File, needed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.copies[key]; i != nil {
		return s.join(ctx, i), false
	}
	i := &item{spool: s, key: key, source: source}
	if s.closed {
		i.over, i.end, i.err = true, true, os.ErrClosed
		return s.join(ctx, i), false
	}
	i.listed = true
	s.copies[key] = i
	s.running.Go(i.fill) // until the source ends, or is closed because nobody reads the copy
	return s.join(ctx, i), true
}

// Bytes returns how many bytes are spoken for: the copies take no more.
func (s *Spool) Bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// Close removes all copies; reading them fails from then on.
func (s *Spool) Close() {
	s.mu.Lock()
	s.closed = true
	var copies []*item
	for _, i := range s.copies {
		copies = append(copies, i)
		s.unlist(i)
	}
	s.mu.Unlock()
	for _, i := range copies {
		i.source.Body.Close()
	}
	s.running.Wait()
	for _, i := range copies {
		s.dispose(i)
	}
}

// join is called with s.mu held.
func (s *Spool) join(ctx context.Context, i *item) *File {
	i.readers++
	if i.timer != nil {
		i.timer.Stop()
	}
	return &File{ctx: ctx, item: i}
}

// leave is the end of what join began.
func (s *Spool) leave(i *item) {
	s.mu.Lock()
	i.readers--
	idle := i.readers == 0
	if idle && i.listed {
		s.scheduleExpiry(i)
	}
	gone := idle && !i.listed && i.over
	s.mu.Unlock()
	if gone {
		s.dispose(i)
	}
}

// scheduleExpiry is called with s.mu held.
func (s *Spool) scheduleExpiry(i *item) {
	after := s.config.Linger
	if i.over {
		after = s.config.Keep
	}
	i.idleSince = time.Now()
	i.timer = time.AfterFunc(after, func() { s.expire(i) })
}

// expire ends a copy that nobody came back to.
func (s *Spool) expire(i *item) {
	s.mu.Lock()
	if i.readers > 0 || !i.listed {
		s.mu.Unlock()
		return
	}
	s.unlist(i)
	over := i.over
	s.mu.Unlock()
	if over {
		s.dispose(i)
		return
	}
	i.source.Body.Close() // what fills it ends, and disposes of it
}

// unlist makes a copy one that cannot be opened any more. s.mu is held.
func (s *Spool) unlist(i *item) {
	if i.timer != nil {
		i.timer.Stop()
	}
	if i.listed {
		i.listed = false
		delete(s.copies, i.key)
	}
}
