package media

import (
	"encoding/binary"
	"iter"
	"math"
	"math/bits"
)

// An element is one of EBML (RFC 8794).
type element struct {
	id   uint32 // with its length marker, as the specifications write it
	off  int64  // of its body
	size int64  // of its body, -1 = not known yet: a live recording
}

// elementHead is what the id and the size of an element take at most.
const elementHead = 12

// elements walks the elements between off and end; one that goes beyond end,
// and one of unknown size, is the last.
func (w *window) elements(off, end int64) iter.Seq2[element, error] {
	return func(yield func(element, error) bool) {
		for n := 0; off < end; n++ {
			e, err := w.element(off)
			if err == nil && n == maxChunks {
				err = unrecognized("too many Matroska elements")
			}
			if !yield(e, err) || err != nil || e.size < 0 || e.size > end-e.off {
				return
			}
			off = e.off + e.size
		}
	}
}

// element reads the header at off: an id of up to 4 bytes and a size of up to
// 8, whose first byte says how many by its leading zeros.
func (w *window) element(off int64) (element, error) {
	b, err := w.at(off, elementHead)
	if err != nil {
		return element{}, err
	}
	broken := unrecognized("its Matroska elements do not chain")
	if len(b) == 0 {
		return element{}, broken
	}
	n := bits.LeadingZeros8(b[0]) + 1
	if n > 4 || len(b) <= n {
		return element{}, broken
	}
	e := element{id: uint32(bigEndian(b[:n]))}
	m := bits.LeadingZeros8(b[n]) + 1
	if m > 8 || len(b) < n+m {
		return element{}, broken
	}
	size := bigEndian(b[n:n+m]) &^ (1 << (7 * m))
	e.off, e.size = off+int64(n+m), int64(size)
	if size == 1<<(7*m)-1 {
		e.size = -1
	}
	return e, nil
}

// body returns the whole body of a small element.
func (w *window) body(e element) ([]byte, error) {
	if e.size < 0 || e.size > 256 {
		return nil, unrecognized("a Matroska field is too long")
	}
	return w.full(e.off, int(e.size))
}

// bigEndian reads an unsigned number of up to 8 bytes.
func bigEndian(b []byte) uint64 {
	var n uint64
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

// ebmlFloat reads a number of 0, 4 or 8 bytes.
func ebmlFloat(b []byte) float64 {
	switch len(b) {
	case 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	case 8:
		return math.Float64frombits(binary.BigEndian.Uint64(b))
	}
	return 0
}
