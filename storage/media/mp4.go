package media

import (
	"encoding/binary"
	"iter"
)

func isMP4(head []byte) bool { return len(head) >= 16 && string(head[4:8]) == "ftyp" }

// boxes walks the boxes between off and end (ISO/IEC 14496-12, section 4.2).
// The last of a file may go beyond its end.
func (w *window) boxes(off, end int64) iter.Seq2[chunk, error] {
	return func(yield func(chunk, error) bool) {
		for n := 0; off+8 <= end; n++ {
			c, err := w.box(off, end)
			if err == nil && n == maxChunks {
				err = unrecognized("too many MP4 boxes")
			}
			if !yield(c, err) || err != nil {
				return
			}
			off = c.off + c.size
		}
	}
}

// box reads the header of the box at off. A size of 1 stands for 64 bits that
// follow, 0 for all that is left.
func (w *window) box(off, end int64) (chunk, error) {
	b, err := w.at(off, 16)
	if err != nil {
		return chunk{}, err
	}
	if off+8 > end || len(b) < 8 {
		return chunk{}, unrecognized("an MP4 box is cut")
	}
	c := chunk{id: string(b[4:8]), start: off, off: off + 8, size: int64(binary.BigEndian.Uint32(b)) - 8}
	switch {
	case c.size == -8:
		c.size = end - c.off
	case c.size == 1-8 && len(b) == 16:
		c.off, c.size = off+16, int64(binary.BigEndian.Uint64(b[8:]))-16
	}
	if !isFourCC(b[4:8]) || c.size < 0 || c.size > end-c.off && end != w.size {
		return chunk{}, unrecognized("its MP4 boxes do not chain")
	}
	c.size = min(c.size, max(0, end-c.off))
	return c, nil
}

// find returns the first box of the given name below c, one level a name.
func (w *window) find(c chunk, path ...string) (chunk, error) {
	for _, id := range path {
		found := false
		for sub, err := range w.boxes(c.off, c.off+c.size) {
			if err != nil {
				return chunk{}, err
			}
			if sub.id == id {
				c, found = sub, true
				break
			}
		}
		if !found {
			return chunk{}, unrecognized("an MP4 track without %s", id)
		}
	}
	return c, nil
}
