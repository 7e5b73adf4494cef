package media

import "bytes"

func isFLAC(head []byte) bool { return bytes.HasPrefix(head, []byte("fLaC")) }

// A streamInfo is what FLAC's first metadata block says (RFC 9639, section 8.2).
type streamInfo struct {
	rate, channels int
}

func parseStreamInfo(b []byte) (streamInfo, bool) {
	if len(b) < 34 {
		return streamInfo{}, false
	}
	minBlock, maxBlock := int(b[0])<<8|int(b[1]), int(b[2])<<8|int(b[3])
	rate := int(b[10])<<12 | int(b[11])<<4 | int(b[12])>>4
	bits := int(b[12]&1)<<4 | int(b[13])>>4 + 1
	info := streamInfo{rate: rate, channels: int(b[12])>>1&7 + 1}
	return info, minBlock >= 16 && maxBlock >= minBlock && rate > 0 && bits >= 4
}

// proveFLAC walks the metadata blocks from off on to the first frame, whose
// header has a checksum.
func proveFLAC(w *window, off int64) (Format, error) {
	b, err := w.full(off, 8+34)
	if err != nil {
		return Format{}, err
	}
	info, ok := parseStreamInfo(b[8:])
	if !ok || b[4]&0x7F != 0 {
		return Format{}, unrecognized("its FLAC stream information makes no sense")
	}
	at, err := skipFLACMetadata(w, off+4)
	switch {
	case err != nil:
		return Format{}, err
	case at == w.size:
		return Format{}, ErrEmpty
	}
	b, err = w.at(at, 16) // the longest frame header
	if err != nil {
		return Format{}, err
	}
	if !isFLACFrame(b) {
		return Format{}, unrecognized("no FLAC frame follows the metadata")
	}
	return Format{
		Type: "audio/flac", Ext: "flac", Container: "flac", Codec: "flac",
		SampleRate: info.rate, Channels: info.channels, BrowserPlays: true,
	}, nil
}

// skipFLACMetadata returns where the frames start.
func skipFLACMetadata(w *window, off int64) (int64, error) {
	for range maxChunks {
		h, err := w.full(off, 4)
		if err != nil {
			return 0, err
		}
		off += 4 + (int64(h[1])<<16 | int64(h[2])<<8 | int64(h[3]))
		switch {
		case h[0] == 0xFF: // type 127 is forbidden
			return 0, unrecognized("its FLAC metadata does not parse")
		case h[0]&0x80 != 0: // the last
			return off, nil
		}
	}
	return 0, unrecognized("too many FLAC metadata blocks")
}

// isFLACFrame checks the frame header that b starts with (RFC 9639, section
// 9.1): sync code, fields without reserved values, CRC-8.
func isFLACFrame(b []byte) bool {
	if len(b) < 6 || b[0] != 0xFF || b[1]&0xFE != 0xF8 || b[2]>>4 == 0 || b[2]&15 == 15 || b[3]>>4 > 10 || b[3]&1 != 0 {
		return false
	}
	n := 4 + codedLength(b[4])
	switch b[2] >> 4 { // uncommon block size
	case 6:
		n++
	case 7:
		n += 2
	}
	switch b[2] & 15 { // uncommon sample rate
	case 12:
		n++
	case 13, 14:
		n += 2
	}
	return n < len(b) && crc8(b[:n]) == b[n]
}

// codedLength is how many bytes the frame's number takes, coded as UTF-8 is.
func codedLength(first byte) int {
	n := 1
	for mask := byte(0x40); first&0x80 != 0 && first&mask != 0 && mask > 1; mask >>= 1 {
		n++
	}
	return n
}

// crc8 has the polynomial x⁸ + x² + x + 1 and starts from 0.
func crc8(b []byte) byte {
	var crc byte
	for _, c := range b {
		crc ^= c
		for range 8 {
			crc = crc<<1 ^ crc>>7*0x07
		}
	}
	return crc
}
