package media

import "bytes"

// isH263 checks the start code of a picture, 22 bits (ITU-T H.263, section
// 5.1.1).
func isH263(b []byte) bool {
	return len(b) >= 3 && b[0] == 0 && b[1] == 0 && b[2]&0xFC == 0x80
}

// isVP8 checks the start code of a key frame behind its first three bytes,
// whose lowest bit says that it is one (RFC 6386, section 9.1).
func isVP8(b []byte) bool {
	return len(b) > 0 && (b[0]&1 != 0 || bytes.HasPrefix(tail(b, 3), []byte("\x9D\x01\x2A")))
}

// isVP9 checks the first two bits and, behind the first byte of a key frame,
// the sync code (VP9 Bitstream Specification, section 7.2). Profile 3, bits 5
// and 4, has it elsewhere.
func isVP9(b []byte) bool {
	if len(b) == 0 || b[0]>>6 != 2 {
		return false
	}
	key := b[0]&0x30 != 0x30 && b[0]&0x0C == 0 // not the repetition of a frame, and a key frame
	return !key || bytes.HasPrefix(b[1:], []byte("\x49\x83\x42"))
}
