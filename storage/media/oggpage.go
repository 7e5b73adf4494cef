package media

import "encoding/binary"

// An oggPage is one page of an Ogg stream (RFC 3533, section 6).
type oggPage struct {
	begins bool // it starts a logical stream
	body   []byte
	length int64 // bytes, header included
}

// readOggPage reads the page at off and checks its CRC; of a page that goes
// beyond the first 32 KiB it checks the header alone.
func readOggPage(w *window, off int64) (oggPage, error) {
	h, err := w.full(off, 27)
	if err != nil {
		return oggPage{}, err
	}
	if !isOgg(h) || h[4] != 0 || h[5] > 7 {
		return oggPage{}, unrecognized("its Ogg pages do not chain")
	}
	h, err = w.full(off, 27+int(h[26]))
	if err != nil {
		return oggPage{}, err
	}
	p := oggPage{begins: h[5]&2 != 0, length: int64(len(h))}
	for _, n := range h[27:] {
		p.length += int64(n)
	}
	whole := within(w.head, 0, off, int(p.length))
	if whole == nil {
		return p, nil
	}
	if oggCRC(whole) != binary.LittleEndian.Uint32(h[22:]) {
		return oggPage{}, unrecognized("an Ogg page fails its checksum")
	}
	p.body = whole[len(h):]
	return p, nil
}

// oggCRC is the page's checksum: CRC-32 with polynomial 0x04C11DB7, neither
// reflected nor inverted, the checksum field taken as zero.
func oggCRC(page []byte) uint32 {
	var crc uint32
	for i, b := range page {
		if i >= 22 && i < 26 {
			b = 0
		}
		crc = crc<<8 ^ oggTable[byte(crc>>24)^b]
	}
	return crc
}

var oggTable = func() (t [256]uint32) {
	for i := range t {
		crc := uint32(i) << 24
		for range 8 {
			crc = crc<<1 ^ crc>>31*0x04C11DB7
		}
		t[i] = crc
	}
	return t
}()
