package media

// elementTypes are the object types whose frames start with an element: AAC
// Main, LC, SSR and LTP, and LC with SBR, also with PS (ISO/IEC 14496-3, table
// 1.17). Frames of the error resilient ones, of low delay and of USAC do not.
var elementTypes = []int{1, 2, 3, 4, 5, 29}

// areElements reports whether b is AAC frames of the given sizes, by the id of
// an element that each starts with, in three bits. Two of the eight are not
// first in any encoder's frame: a coupling channel and the end. So random
// bytes pass 3 times in 4 as one frame, 2 times in 1,000 as 22 frames, which
// last half a second at 44.1 kHz. ADTS headers, which some cameras leave in,
// are believed.
func areElements(c coding, b []byte, sizes []int64) bool {
	return !c.elements || each(b, sizes, func(frame []byte) bool {
		id := frame[0] >> 5
		return id != 2 && id != 7 || isADTS(frame)
	})
}

// isALACFrame checks the first element of an ALAC frame: three bits of id and
// four of number, then twelve that are zero in one of sound (Apple's
// ALACDecoder.cpp).
func isALACFrame(b []byte) bool {
	if len(b) < 3 {
		return false
	}
	switch b[0] >> 5 {
	case 0, 1, 3: // of one channel, of two, of low frequencies
		return b[0]&0x01 == 0 && b[1] == 0 && b[2]&0xE0 == 0
	}
	return false
}
