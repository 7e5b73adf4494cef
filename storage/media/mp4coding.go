package media

import (
	"bytes"
	"encoding/binary"
)

// mp4NALPrefix returns how many bytes say the length of a NAL unit by the
// first bytes b of a picture's sample entry.
func mp4NALPrefix(b []byte) int {
	if _, record, ok := bytes.Cut(b, []byte("avcC")); ok {
		return nalPrefix(record, avcPrefixAt)
	}
	_, record, _ := bytes.Cut(b, []byte("hvcC"))
	return nalPrefix(record, hevcPrefixAt)
}

// mp4PCMWidth returns the bytes per sample by the first bytes b of a sound's
// sample entry of the given name, 0 if it is not PCM.
func mp4PCMWidth(entry string, b []byte) int {
	bits := int(binary.BigEndian.Uint16(b[18:]))
	switch entry {
	case "ulaw", "alaw":
		return 1
	case "in24":
		return 3
	case "in32", "fl32":
		return 4
	case "fl64":
		return 8
	case "ipcm", "fpcm": // in a box: version, flags, format, bits (ISO/IEC 23003-5)
		_, record, _ := bytes.Cut(b, []byte("pcmC"))
		if len(record) > 5 {
			bits = int(record[5])
		}
	case "lpcm":
		if len(b) >= 52 { // QuickTime's version 2
			bits = int(binary.BigEndian.Uint32(b[48:]) & 0xFF)
		}
	case "sowt", "twos":
	default:
		return 0
	}
	return bits / 8
}
