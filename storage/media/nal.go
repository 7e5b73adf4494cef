package media

import "bytes"

// Where a decoder configuration has, in two bits, how many bytes say the
// length of a NAL unit, less 1 (ISO/IEC 14496-15, sections 5.3.3 and 8.3.3).
const (
	avcPrefixAt  = 4
	hevcPrefixAt = 21
)

// nalPrefix returns that number of bytes, 4 if the configuration is cut or
// not there.
func nalPrefix(configuration []byte, at int) int {
	if len(configuration) <= at {
		return 4
	}
	return int(configuration[at]&3) + 1
}

// isNALChain reports whether a sample of the given size, of which b is the
// start, is NAL units from end to end: a length in as many bytes as prefix
// says, then a unit that starts with a zero bit. Units of no bytes are
// skipped, which also does for zeros that pad the sample. A start code, which
// some cameras write although it has no place there, is believed.
func isNALChain(b []byte, size int64, prefix int) bool {
	if bytes.HasPrefix(b, []byte("\x00\x00\x00\x01")) && len(b) > 4 && b[4]&0x80 == 0 {
		return true
	}
	units, off := 0, 0
	for int64(off+prefix) <= size {
		if off+prefix > len(b) {
			return units > 0 // out of reach
		}
		n := int64(bigEndian(b[off : off+prefix]))
		off += prefix
		switch {
		case n == 0:
			continue
		case n > size-int64(off), off < len(b) && b[off]&0x80 != 0:
			return false
		}
		units++
		off += int(n)
	}
	return units > 0 && len(bytes.Trim(tail(b, off), "\x00")) == 0
}
