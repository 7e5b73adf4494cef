package storage

// A piece is a part of a read: of a chunk that is kept, or of a fetch.
type piece struct {
	from, to int64 // in the file
	chunk    []byte
	fetch    *chunkFetch // nil if chunk is set
}

func (p piece) release() {
	if p.fetch != nil {
		p.fetch.release()
	}
}

// plan says how to read what is between offset and end: it finds the chunks
// that are kept, joins the fetches that are under way, and begins one for each
// run of chunks that are neither.
func (f *cachedFile) plan(offset, end int64) []piece {
	pieces, begun, results := f.divide(offset, end)
	for _, t := range begun {
		f.fetched.Add(int64(t.want))
		t.begin()
	}
	for _, result := range results {
		f.handle.store.cache.config.Observe(result)
	}
	return pieces
}

// divide is plan up to where the fetches begin.
func (f *cachedFile) divide(offset, end int64) (pieces []piece, begun []*chunkFetch, results []string) {
	h := f.handle
	h.mu.Lock()
	defer h.mu.Unlock()
	for at := offset; at < end; at = chunkEnd(at) {
		to := min(chunkEnd(at), end)
		// Under the lock once more: it may have landed since readKept looked.
		if chunk := h.store.cache.chunks.get(h.chunkKey(at)); chunk != nil {
			pieces = append(pieces, piece{from: at, to: to, chunk: chunk})
			results = append(results, CacheHit)
			continue
		}
		t, result := h.fetches[at/chunkSize], CacheShared
		if t == nil || !t.covers(at, to) {
			result = CacheMiss
			from, until := h.chunk(at, to)
			if n := len(begun); n > 0 && begun[n-1].end() == at {
				t = begun[n-1]
			} else {
				t = h.newFetch(from, true)
				begun = append(begun, t)
			}
			t.want = int(until - t.offset)
			h.fetches[at/chunkSize] = t
		}
		results = append(results, result)
		if n := len(pieces); n > 0 && pieces[n-1].fetch == t {
			pieces[n-1].to = to
			continue
		}
		t.users.Add(1)
		pieces = append(pieces, piece{from: at, to: to, fetch: t})
	}
	for _, t := range begun {
		t.buffer = newChunkBuffer(t.want)
	}
	return pieces, begun, results
}

// chunk returns what to fetch for bytes of one chunk: all of it, unless it will
// not be kept.
func (h *handle) chunk(from, to int64) (int64, int64) {
	if h.store.cache.chunks.kept == nil {
		return from, to
	}
	return from - from%chunkSize, min(chunkEnd(from), h.info.Size())
}

// direct fetches what is between offset and end for this File only: it has read
// so much that keeping it would cost the others theirs.
func (f *cachedFile) direct(offset, end int64) []piece {
	t := f.handle.newFetch(offset, false)
	t.want = int(end - offset)
	t.buffer = newChunkBuffer(t.want)
	t.users.Add(1)
	t.begin()
	for at := offset; at < end; at = chunkEnd(at) {
		f.handle.store.cache.config.Observe(CacheDirect)
	}
	return []piece{{from: offset, to: end, fetch: t}}
}

// newFetch returns a fetch of nothing yet.
func (h *handle) newFetch(offset int64, shared bool) *chunkFetch {
	t := &chunkFetch{handle: h, offset: offset, shared: shared, done: make(chan struct{})}
	t.users.Store(1)
	return t
}
