package storage

import (
	"context"
	"io"
	"io/fs"
	"sync"
	"time"
)

const (
	// packet is the least that a read-ahead asks for at a time: what every SFTP
	// server answers at once (draft-ietf-secsh-filexfer-02, section 3), and what
	// a Cache keeps as a chunk.
	packet = chunkSize

	// large is the most: as many chunks as OpenSSH answers at once, which is
	// 255 KiB. Fewer and larger answers cost less to handle.
	large = 7 * packet

	// own is how much each File may hold without asking the Budget: what its
	// reader takes, and what is on its way.
	own = 2 * packet

	// most is how much one File may hold: what fills eight SSH channels, whose
	// windows are 2 MiB in OpenSSH and x/crypto.
	most = 16 << 20
)

// ReadAhead returns a Store whose Files read ahead of whoever reads them in
// sequence: many small reads are in flight at once, in order, so that a round
// trip to the store is paid once and not for each of them.
//
// How many there are follows the reader. It begins with one; each time the
// reader has to wait, there may be twice as many, and each time all of them are
// there before it, one less. A reader that is slow, or that leaves after the
// first bytes, costs little. A Seek drops what was read ahead.
func ReadAhead(store Store, budget *Budget) Store { return readAhead{store, budget} }

type readAhead struct {
	store  Store
	budget *Budget
}

func (s readAhead) Open(ctx context.Context, name string) (File, error) {
	file, err := s.store.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, PathError(name, err)
	}
	return &aheadFile{File: file, size: info.Size(), limit: info.Size(), budget: s.budget}, nil
}

// An aheadFile is a File with reads in flight.
type aheadFile struct {
	File
	size   int64
	budget *Budget
	offset int64 // of the next Read
	limit  int64 // where the reader will stop, as far as it says

	mu     sync.Mutex    // Close and ReadAt may come while Read runs
	closed bool          // guarded by mu
	going  bool          // guarded by mu: a Read was served since the last Seek
	served int64         // guarded by mu: bytes since then
	window int64         // guarded by mu: how many bytes there may be in the queue
	queue  []*fetch      // guarded by mu: without gaps; the first covers offset
	held   int64         // guarded by mu: bytes in the queue
	loan   int64         // guarded by mu: bytes that are borrowed, by fetches that were dropped as well
	pace   pace          // guarded by mu
	waited time.Duration // guarded by mu: how long the last fetch took
	spare  *fetch        // guarded by mu: the last small ReadAt, which Read may want again
}

// Read waits for the next bytes.
func (f *aheadFile) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n := 0
	_, err := f.next(func(ready []byte) (int, error) {
		n = copy(p, ready)
		return n, nil
	})
	return n, err
}

// WriteNext writes the next bytes to w, at most limit, without a copy of them.
// Errors of w and of reading are told apart by wrote, which says that w has had
// its turn.
func (f *aheadFile) WriteNext(w io.Writer, limit int64) (n int, wrote bool, err error) {
	n, err = f.next(func(ready []byte) (int, error) {
		wrote = true
		return w.Write(ready[:min(int64(len(ready)), limit)])
	})
	return n, wrote, err
}

// next waits for the next bytes and gives them to take, which says how many of
// them it took.
func (f *aheadFile) next(take func(ready []byte) (int, error)) (int, error) {
	head, err := f.head()
	if err != nil {
		return 0, err
	}
	<-head.done // with the context of Open, or Close, at the latest
	ready, err := f.use(head)
	if err != nil {
		return 0, err
	}
	n, err := take(ready)
	f.took(head, n)
	return n, err
}

// use returns the bytes at the offset, which are head's. They are the caller's
// until it calls took.
func (f *aheadFile) use(head *fetch) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, errClosed("read")
	}
	ready := (*head.buffer)[f.offset-head.offset : head.n]
	if len(ready) == 0 {
		f.drop() // the next Read tries again
		return nil, head.err
	}
	head.users++
	return ready, nil
}

// took ends a use, of which the reader took n bytes.
func (f *aheadFile) took(head *fetch, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.release(head)
	f.served += int64(n)
	f.pace.taken += int64(n)
	f.waited = head.took
	if f.offset += int64(n); f.offset == head.end() && !f.closed {
		f.queue = f.queue[1:]
		f.held -= head.want
		f.release(head)
		f.fill() // at once: what is done when the reader comes back shows that it lags
	}
}

// Seek drops what was read ahead, unless it leads nowhere else.
func (f *aheadFile) Seek(offset int64, whence int) (int64, error) {
	to, err := Seek(offset, whence, f.offset, f.size)
	if err != nil {
		return 0, &fs.PathError{Op: "seek", Err: err}
	}
	if to != f.offset {
		f.mu.Lock()
		f.drop()
		f.mu.Unlock()
		f.offset, f.limit = to, f.size
	}
	return to, nil
}

// Expect tells that the reader wants n bytes from here on, and probably no
// more. It is for the goroutine that reads.
func (f *aheadFile) Expect(n int64) {
	if n < f.size-f.offset {
		f.limit = f.offset + max(n, 0)
	}
}

// ReadAt reads at once. Of a small read it keeps a copy: a Read from the same
// place follows as a rule, after a look at how a recording begins.
func (f *aheadFile) ReadAt(p []byte, offset int64) (int, error) {
	n, err := f.File.ReadAt(p, offset)
	if n == 0 || len(p) > packet {
		return n, err
	}
	done := make(chan struct{})
	close(done)
	spare := &fetch{offset: offset, want: int64(n), n: n, done: done, buffer: newChunkBuffer(packet)}
	spare.users = 1
	copy(*spare.buffer, p[:n])
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keep(spare)
	return n, err
}

// Close ends the reads that are in flight.
func (f *aheadFile) Close() error {
	f.mu.Lock()
	f.closed = true
	if f.pace.review != nil {
		f.pace.review.Stop()
	}
	f.drop()
	f.keep(nil)
	f.mu.Unlock()
	return f.File.Close()
}

// What follows is called with f.mu held, but for head.

// head returns the fetch that covers the offset, with as many under way behind
// it as the reader deserves.
func (f *aheadFile) head() (*fetch, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, errClosed("read")
	case f.offset >= f.size:
		return nil, io.EOF
	}
	if f.offset >= f.limit {
		f.limit = f.size // it wants more after all
	}
	f.adapt()
	f.going = true
	if len(f.queue) == 0 {
		f.begin()
	}
	f.fill()
	return f.queue[0], nil
}

// begin starts a queue at the offset, with what ReadAt has kept if that is it.
func (f *aheadFile) begin() {
	if s := f.spare; s != nil && s.offset == f.offset {
		f.queue, f.spare = append(f.queue, s), nil
		f.held += s.want
		return
	}
	f.keep(nil)
	f.start(f.upTo(f.offset), false)
}

// fill starts reads at the end of the queue, if there is one.
func (f *aheadFile) fill() {
	for len(f.queue) > 0 {
		last := f.queue[len(f.queue)-1]
		next := f.upTo(last.end())
		n := next.length
		if n <= 0 || f.held >= f.window {
			return
		}
		borrowed := f.held+n > own
		if borrowed && !f.borrow(n) {
			return
		}
		f.start(next, borrowed)
	}
}

// upTo returns what to ask for at offset. It ends where a packet does.
func (f *aheadFile) upTo(offset int64) stretch {
	end := offset + f.step()
	return stretch{offset, min(end-end%packet, f.limit) - offset}
}

// A stretch is some bytes of a File.
type stretch struct{ offset, length int64 }

func (f *aheadFile) borrow(n int64) bool {
	if !f.budget.take(n, f.loan) {
		return false
	}
	f.loan += n
	if f.pace.review == nil {
		f.pace.review = time.AfterFunc(reviewEvery, f.review)
	}
	return true
}

// start reads a stretch on a goroutine, which ends with the read.
func (f *aheadFile) start(p stretch, borrowed bool) {
	next := &fetch{offset: p.offset, want: p.length, borrowed: borrowed, done: make(chan struct{}), buffer: newChunkBuffer(int(p.length))}
	next.users = 2 // the queue and the goroutine
	f.queue = append(f.queue, next)
	f.held += next.want
	go func() {
		next.read(f.File)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.release(next)
	}()
}

// drop gives up what was read ahead.
func (f *aheadFile) drop() {
	for _, unwanted := range f.queue {
		f.release(unwanted)
	}
	f.queue, f.held, f.going, f.served = nil, 0, false, 0
}

// keep replaces the spare.
func (f *aheadFile) keep(spare *fetch) {
	if f.spare != nil {
		f.release(f.spare)
	}
	f.spare = spare
	if f.closed && spare != nil {
		f.release(spare)
		f.spare = nil
	}
}

// release gives back what a fetch holds when its last user is done with it.
func (f *aheadFile) release(done *fetch) {
	if done.users--; done.users > 0 {
		return
	}
	freeChunkBuffer(done.buffer)
	if done.borrowed {
		f.budget.give(done.want, f.loan)
		f.loan -= done.want
	}
}

func errClosed(op string) error { return &fs.PathError{Op: op, Err: fs.ErrClosed} }
