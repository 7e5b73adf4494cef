package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// An item is a copy of a recording, or as much of it as has come.
type item struct {
	spool  *Spool
	key    string
	source Source

	// The spool's mu guards these.
	readers   int
	listed    bool // it can be opened
	over      bool // nothing more is written
	disposed  bool
	reserved  int64 // bytes
	idleSince time.Time
	timer     *time.Timer // of expiry

	// mu guards what is below.
	mu    sync.Mutex
	file  *os.File // nil until there is something
	named bool     // file has a name, which is to be removed
	have  int64    // bytes in file
	end   bool     // no more will come
	err   error    // why not all came
	more  chan struct{}
}

const (
	pieceSize   = 64 << 10 // bytes that are written at a time
	reserveStep = 1 << 20  // bytes that are reserved at a time if nobody knows how many will come
)

// fill writes what comes from the source. What failed cannot be opened any more
// when those who read it are told.
func (i *item) fill() {
	err := i.write()
	i.source.Body.Close()
	i.spool.filled(i, i.have, err) // nobody else writes have
	i.mu.Lock()
	defer i.mu.Unlock()
	i.end, i.err = true, err
	i.tell()
}

func (i *item) write() error {
	if i.source.Size > 0 {
		if err := i.spool.reserve(i, i.source.Size); err != nil {
			return err
		}
	}
	file, named, err := i.spool.create()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	i.mu.Lock()
	i.file, i.named = file, named
	i.mu.Unlock()
	piece := make([]byte, pieceSize)
	for have := int64(0); ; {
		n, err := i.source.Body.Read(piece)
		if n > 0 {
			if err := i.add(file, piece[:n], have); err != nil {
				return err
			}
			have += int64(n)
		}
		switch {
		case err == io.EOF && i.source.Size >= 0 && have < i.source.Size:
			return io.ErrUnexpectedEOF
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// add writes a piece that belongs at an offset.
func (i *item) add(file *os.File, piece []byte, offset int64) error {
	end := offset + int64(len(piece))
	switch {
	case i.source.Size >= 0 && end > i.source.Size:
		return errors.New("more came than was to come")
	case i.source.Size < 0 && end > i.reserved: // only we change it until it is over
		if err := i.reserveMore(end - i.reserved); err != nil {
			return err
		}
	}
	if err := i.store(file, piece, offset); err != nil {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.have = end
	i.tell()
	return nil
}

// store writes a piece. A disk that is full before the spool is gets room by
// copies that nobody reads.
func (i *item) store(file *os.File, piece []byte, offset int64) error {
	for {
		_, err := file.WriteAt(piece, offset)
		if err == nil || !i.spool.giveUpOne() {
			return err
		}
	}
}

// reserveMore reserves n bytes at least, and enough for some time if it can.
func (i *item) reserveMore(n int64) error {
	if n < reserveStep && i.spool.reserve(i, reserveStep) == nil {
		return nil
	}
	return i.spool.reserve(i, n)
}

// tell wakes those who wait. i.mu is held.
func (i *item) tell() {
	if i.more != nil {
		close(i.more)
		i.more = nil
	}
}

// await waits until there are bytes at offset, and returns how many there are in
// all. At the end of the copy it returns io.EOF.
func (i *item) await(ctx context.Context, offset int64) (file *os.File, have int64, err error) {
	for {
		i.mu.Lock()
		switch {
		case offset < i.have:
			defer i.mu.Unlock()
			return i.file, i.have, nil
		case i.end:
			defer i.mu.Unlock()
			return nil, i.have, orEOF(i.err)
		case i.more == nil:
			i.more = make(chan struct{})
		}
		more := i.more
		i.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

func orEOF(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

// size waits until it is known how long the copy is.
func (i *item) size(ctx context.Context) (int64, error) {
	if i.source.Size >= 0 {
		return i.source.Size, nil
	}
	const never = 1<<63 - 1
	_, have, err := i.await(ctx, never)
	if err != io.EOF {
		return 0, err
	}
	return have, nil
}
