package storage

import (
	"cmp"
	"io"
	"io/fs"
)

// ReadAt implements [io.ReaderAt].
func (f *cachedFile) ReadAt(p []byte, offset int64) (n int, err error) {
	if err := f.left(); err != nil {
		return 0, err
	}
	if offset < 0 {
		return 0, f.fail("read", fs.ErrInvalid)
	}
	left := f.handle.info.Size() - offset
	short := int64(len(p)) > left
	if short {
		p = p[:max(left, 0)]
	}
	for n < len(p) && err == nil {
		var m int
		m, err = f.readSome(p[n:], offset+int64(n))
		n += m
	}
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}

// readSome reads what is kept at offset, or else what one fetch may hold of p
// or a bit less.
func (f *cachedFile) readSome(p []byte, offset int64) (int, error) {
	if err := f.handle.version.changed(); err != nil {
		return 0, err
	}
	if n := f.readKept(p, offset); n > 0 {
		return n, nil
	}
	end := min(offset+int64(len(p)), offset-offset%chunkSize+longestFetch)
	var pieces []piece
	if f.fetched.Load() >= f.handle.store.cache.patient {
		pieces = f.direct(offset, end)
	} else {
		pieces = f.plan(offset, end)
	}
	return f.readPieces(p, pieces)
}

// readKept copies the chunks at offset that are kept.
func (f *cachedFile) readKept(p []byte, offset int64) (n int) {
	c := f.handle.store.cache
	for n < len(p) {
		at := offset + int64(n)
		chunk := c.chunks.get(f.handle.chunkKey(at))
		if chunk == nil {
			break
		}
		c.config.Observe(CacheHit)
		n += copy(p[n:], chunk[at%chunkSize:])
	}
	return n
}

// readPieces copies pieces to p as they come, up to the first that failed.
func (f *cachedFile) readPieces(p []byte, pieces []piece) (n int, err error) {
	defer func() {
		for _, piece := range pieces {
			piece.release()
		}
	}()
	for _, piece := range pieces {
		var m int
		m, err = f.readPiece(p[n:], piece)
		if n += m; err != nil {
			return n, cmp.Or(f.left(), err) // who closes the last File of a handle ends its fetches
		}
	}
	return n, nil
}

func (f *cachedFile) readPiece(p []byte, piece piece) (int, error) {
	t := piece.fetch
	if t == nil {
		return copy(p, piece.chunk[piece.from%chunkSize:][:piece.to-piece.from]), nil
	}
	select {
	case <-t.done: // with the handle at the latest
	case <-f.ctx.Done():
		return 0, f.left()
	}
	got := min(piece.to-t.offset, int64(t.n)) + t.offset // up to where
	if got <= piece.from {
		return 0, t.err
	}
	n := copy(p, (*t.buffer)[piece.from-t.offset:got-t.offset])
	if got < piece.to {
		return n, t.err
	}
	return n, nil
}
