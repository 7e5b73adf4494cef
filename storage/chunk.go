package storage

import (
	"sync/atomic"

	"github.com/maypok86/otter/v2"
)

const (
	// chunkSize is the unit in which recordings are kept. Chunks are aligned to
	// it; the last one of a file is shorter. It is what every SFTP server
	// answers in one packet, and two seconds of telephone speech as a WAV.
	chunkSize = 32 << 10

	// chunkOverhead is what it costs to keep a chunk besides its bytes: the
	// entry, its place in the table, and its share of the sketch.
	chunkOverhead = 256
)

// chunkEnd returns where the chunk ends that covers offset, unless it is the
// last one of its file.
func chunkEnd(offset int64) int64 { return offset - offset%chunkSize + chunkSize }

type chunkKey struct {
	version uint64
	index   int64 // its offset is index × chunkSize
}

// A chunkTable keeps chunks: those that are read often and lately, within a
// limit. A chunk is not changed once it is there. It is safe for concurrent use.
type chunkTable struct {
	limit int64
	bytes atomic.Int64                   // of all chunks in kept, and about to be
	kept  *otter.Cache[chunkKey, []byte] // nil if none are
}

func newChunkTable(limit int64) *chunkTable {
	t := &chunkTable{limit: limit}
	if limit < chunkSize {
		return t
	}
	t.kept = otter.Must(&otter.Options[chunkKey, []byte]{
		// It evicts after it has inserted, and later still under load: the rest
		// of the limit is for what comes in meanwhile.
		MaximumWeight:    uint64(limit - limit/16),
		Weigher:          func(_ chunkKey, chunk []byte) uint32 { return uint32(weight(chunk)) },
		OnAtomicDeletion: func(e otter.DeletionEvent[chunkKey, []byte]) { t.bytes.Add(-weight(e.Value)) },
		Executor:         func(task func()) { task() }, // no goroutine that nobody owns
	})
	return t
}

func weight(chunk []byte) int64 { return int64(cap(chunk) + chunkOverhead) }

// get returns a chunk, or nil.
func (t *chunkTable) get(key chunkKey) []byte {
	if t.kept == nil {
		return nil
	}
	chunk, _ := t.kept.GetIfPresent(key)
	return chunk
}

// put keeps a copy of content, unless there is no room for it at once.
func (t *chunkTable) put(key chunkKey, content []byte) {
	if t.kept == nil {
		return
	}
	chunk := append([]byte(nil), content...) // unlike make, it clears nothing
	n := weight(chunk)
	if !t.reserve(n) {
		if t.kept.CleanUp(); !t.reserve(n) {
			return
		}
	}
	if _, added := t.kept.SetIfAbsent(key, chunk); !added {
		t.bytes.Add(-n)
	}
}

// reserve counts n bytes that are about to be kept, if there is room for them.
func (t *chunkTable) reserve(n int64) bool {
	for {
		bytes := t.bytes.Load()
		if bytes+n > t.limit {
			return false
		}
		if t.bytes.CompareAndSwap(bytes, bytes+n) {
			return true
		}
	}
}

func (t *chunkTable) clear() {
	if t.kept != nil {
		t.kept.InvalidateAll()
	}
}
