package media

import (
	"bytes"
	"hash/maphash"
	"math/bits"
)

// A blockSet finds blocks that repeat. It is used again and again, because one
// is needed for each proof of samples.
type blockSet struct {
	out   []byte   // the blocks, each once
	table []uint32 // by hash: where the end of a block is in out; 0 = none
}

var blockSeed = maphash.MakeSeed()

// distinct returns b without the blocks that were there before. A block is 16
// bytes, AES's, or 48 where that keeps samples of 3 bytes whole. What it returns
// is the set's, until it is used again.
func (s *blockSet) distinct(b []byte, width int) []byte {
	block := 16
	if width == 3 {
		block = 48
	}
	s.reset(len(b) / block)
	for ; len(b) >= block; b = b[block:] {
		s.add(b[:block])
	}
	return s.out
}

// reset makes room for n blocks, in a table that is half empty then.
func (s *blockSet) reset(n int) {
	size := 1 << bits.Len(uint(2*n))
	if cap(s.table) < size {
		s.table = make([]uint32, size)
	}
	s.table = s.table[:size]
	clear(s.table)
	s.out = s.out[:0]
}

// add adds a block, unless it is there: all are of the same length.
func (s *blockSet) add(block []byte) {
	mask := uint64(len(s.table) - 1)
	for i := maphash.Bytes(blockSeed, block) & mask; ; i = (i + 1) & mask {
		end := int(s.table[i])
		if end == 0 {
			s.out = append(s.out, block...)
			s.table[i] = uint32(len(s.out))
			return
		}
		if bytes.Equal(s.out[end-len(block):end], block) {
			return
		}
	}
}
