package media

import (
	"encoding/binary"
	"iter"
)

// maxChunks bounds how many chunks, boxes, elements or objects of one level
// are looked at. Real files have a dozen.
const maxChunks = 64

// A chunk is the unit of RIFF, AIFF and, as a box, of MP4.
type chunk struct {
	id    string // four printable characters
	start int64  // of its header
	off   int64  // of its body
	size  int64  // of its body as stated: it may go beyond the end
}

// chunks walks the RIFF or IFF chunks between off and end. The walk ends at
// end, behind a chunk that goes beyond it, or with an error.
func (w *window) chunks(off, end int64, order binary.ByteOrder) iter.Seq2[chunk, error] {
	return func(yield func(chunk, error) bool) {
		for n := 0; off+8 <= end; n++ {
			b, err := w.full(off, 8)
			if err == nil && (n == maxChunks || !isFourCC(b[:4])) {
				err = unrecognized("its chunks do not chain")
			}
			if err != nil {
				yield(chunk{}, err)
				return
			}
			c := chunk{id: string(b[:4]), start: off, off: off + 8, size: int64(order.Uint32(b[4:]))}
			if !yield(c, nil) {
				return
			}
			off = c.off + c.size + c.size&1 // padded to 16 bits
		}
	}
}

// isFourCC reports whether b is a chunk's name: printable ASCII, and the
// copyright sign that QuickTime uses.
func isFourCC(b []byte) bool {
	for _, c := range b {
		if (c < ' ' || c > '~') && c != 0xA9 {
			return false
		}
	}
	return true
}
