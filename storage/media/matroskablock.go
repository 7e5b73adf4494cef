package media

import (
	"math/bits"
	"slices"
)

// readBlock reads a block's header and proves the first frame of a track.
func (b *blockWalk) readBlock(e element) error {
	if e.size > b.w.size-e.off && b.blocks > 0 {
		return nil // still being written
	}
	h, err := b.w.at(e.off, elementHead)
	if err != nil {
		return err
	}
	head, ok := parseBlock(h)
	frame := run{off: e.off + head.length, count: 1, sizes: []int64{e.size - head.length}}
	if !ok || frame.sizes[0] < 0 || e.size > b.w.size-e.off {
		return unrecognized("a Matroska block is cut")
	}
	if !slices.Contains(b.tracks.numbers, head.track) {
		return unrecognized("a Matroska block of no track")
	}
	b.blocks++
	i := slices.IndexFunc(b.unseen, func(t *track) bool { return t.number == head.track })
	if i < 0 {
		return nil
	}
	t := b.unseen[i]
	b.unseen = slices.Delete(b.unseen, i, i+1)
	if head.laced {
		return nil
	}
	return t.prove(b.w, frame)
}

type blockHead struct {
	track  uint64
	laced  bool // several frames follow, not one
	length int64
}

// parseBlock reads a block's header (RFC 9559, section 10.1): the track's
// number, coded as a size is, a time of 16 bits, and flags.
func parseBlock(b []byte) (blockHead, bool) {
	if len(b) == 0 {
		return blockHead{}, false
	}
	n := bits.LeadingZeros8(b[0]) + 1
	if n > 8 || len(b) < n+3 {
		return blockHead{}, false
	}
	number := bigEndian(b[:n]) &^ (1 << (7 * n))
	return blockHead{track: number, laced: b[n+2]&0x06 != 0, length: int64(n + 3)}, true
}
