package media

import (
	"encoding/binary"
	"slices"
)

// Packet types of OpenPGP (RFC 9580, section 5) in an encrypted message.
const (
	pgpPublicKeySession = 1
	pgpSymmetricSession = 3
	pgpEncrypted        = 9
	pgpProtected        = 18 // encrypted and integrity protected
	pgpAEAD             = 20 // GnuPG's, of a draft
)

// A pgpPacket is the header of one packet and the start of its body.
type pgpPacket struct {
	kind int
	body []byte // as far as it is at hand
	next int64  // where the next one starts; -1 = not known: streamed
}

// isOpenPGP reports whether the message of the given size that starts with b is
// encrypted: session keys that parse, then encrypted data. The first byte
// alone would claim 3 % of all raw ciphertext.
func isOpenPGP(b []byte, size int64) bool {
	keys := 0
	for off := int64(0); off < int64(len(b)); {
		p, ok := readPGPPacket(b[off:])
		switch {
		case !ok:
			return false
		case p.isSessionKey():
			keys++
		case p.kind == pgpEncrypted, p.kind == pgpProtected, p.kind == pgpAEAD:
			return p.isData() && (keys > 0 || p.kind == pgpProtected && off+p.next == size)
		default:
			return false
		}
		if p.next < 0 {
			return false
		}
		off += p.next
	}
	return false
}

// readPGPPacket reads the header that b starts with (RFC 9580, section 4.2).
func readPGPPacket(b []byte) (pgpPacket, bool) {
	if len(b) < 6 || b[0]&0x80 == 0 {
		return pgpPacket{}, false
	}
	var header, length int
	p := pgpPacket{}
	if b[0]&0x40 == 0 {
		p.kind = int(b[0] >> 2 & 15)
		header, length = oldPGPLength(b)
	} else {
		p.kind = int(b[0] & 0x3F)
		header, length = newPGPLength(b)
	}
	p.body = b[header:]
	if p.next = int64(header) + int64(length); length < 0 {
		p.next = -1
	}
	return p, true
}

// oldPGPLength returns the length of the header and of the body, -1 for one
// that the end of the file ends.
func oldPGPLength(b []byte) (header, length int) {
	switch b[0] & 3 {
	case 0:
		return 2, int(b[1])
	case 1:
		return 3, int(binary.BigEndian.Uint16(b[1:]))
	case 2:
		return 5, int(binary.BigEndian.Uint32(b[1:]))
	}
	return 1, -1
}

// newPGPLength returns the same; -1 for a body in pieces.
func newPGPLength(b []byte) (header, length int) {
	switch n := int(b[1]); {
	case n < 192:
		return 2, n
	case n < 224:
		return 3, (n-192)<<8 + int(b[2]) + 192
	case n < 255:
		return 2, -1
	}
	return 6, int(binary.BigEndian.Uint32(b[2:]))
}

// isSessionKey checks versions and algorithms (RFC 9580, sections 5.1, 5.3 and
// 9; version 5 is GnuPG's).
func (p pgpPacket) isSessionKey() bool {
	b := p.body
	if len(b) < 40 { // cut: as if zeros followed
		b = append(b[:len(b):len(b)], make([]byte, 40)...)
	}
	switch p.kind<<8 | int(b[0]) {
	case pgpPublicKeySession<<8 | 3: // key id, algorithm
		return isPublicKeyAlgorithm(b[9])
	case pgpPublicKeySession<<8 | 6: // length of version and fingerprint, these, algorithm
		return b[1] == 21 && b[2] == 4 && isPublicKeyAlgorithm(b[23]) ||
			b[1] == 33 && b[2] == 6 && isPublicKeyAlgorithm(b[35])
	case pgpSymmetricSession<<8 | 4:
		return isSymmetric(b[1]) && b[2] <= 4
	case pgpSymmetricSession<<8 | 5:
		return isSymmetric(b[1]) && isAEAD(b[2]) && b[3] <= 4
	case pgpSymmetricSession<<8 | 6: // with lengths between
		return isSymmetric(b[2]) && isAEAD(b[3]) && b[5] <= 4
	}
	return false
}

func isPublicKeyAlgorithm(b byte) bool { return slices.Contains([]byte{1, 2, 16, 18, 25, 26}, b) }

func isSymmetric(b byte) bool { return 1 <= b && b <= 13 }

func isAEAD(b byte) bool { return 1 <= b && b <= 3 }

// isData checks the version of encrypted data; type 9 has none.
func (p pgpPacket) isData() bool {
	return p.kind == pgpEncrypted || len(p.body) > 0 && (p.body[0] == 1 || p.body[0] == 2)
}
