package media

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// Tags of the descriptors in an MP4 sound entry (ISO/IEC 14496-1, section 7.2.6).
const (
	tagStream        = 3
	tagDecoder       = 4
	tagDecoderDetail = 5
)

// esdsCodecs names the codecs by object type (ISO/IEC 14496-1, table 5).
var esdsCodecs = map[byte]string{
	0x40: "aac", 0x66: "aac", 0x67: "aac", 0x68: "aac", 0x69: "mp3", 0x6B: "mp3",
	0xA5: "ac3", 0xA6: "eac3", 0xAD: "opus",
}

// readDescriptor takes codec, channels and sample rate from the elementary
// stream descriptor in the boxes b of an mp4a entry. The entry's own fields
// often say 2 channels whatever they are. The box is looked up by its name,
// because QuickTime puts other fields or boxes before it.
func (t *track) readDescriptor(b []byte) {
	_, b, _ = bytes.Cut(b, []byte("esds\x00\x00\x00\x00"))
	stream := descriptor(b, tagStream)
	if len(stream) < 3 || stream[2] != 0 { // id, and flags for fields that follow
		return
	}
	decoder := descriptor(stream[3:], tagDecoder)
	if len(decoder) < 13 {
		return
	}
	t.codec = esdsCodecs[decoder[0]]
	t.bitRate = int(binary.BigEndian.Uint32(decoder[9:]))
	if detail := descriptor(decoder[13:], tagDecoderDetail); t.codec == "aac" && len(detail) >= 2 {
		t.readAACConfig(detail)
	}
}

// readAACConfig reads an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1): 5 bits
// of object type, 4 of rate, 4 of channels.
func (t *track) readAACConfig(b []byte) {
	bits := binary.BigEndian.Uint16(b)
	t.coding.elements = slices.Contains(elementTypes, int(bits>>11))
	rate, channels := int(bits>>7&15), int(bits>>3&15)
	if bits>>11 == 31 || rate >= len(adtsRates) || channels == 0 || channels >= len(adtsChannels) {
		return // written out at length: the entry's fields stand
	}
	t.rate, t.channels = adtsRates[rate], adtsChannels[channels]
}

// descriptor returns what follows the header of the descriptor that b starts
// with, nil if that is another: a tag, and a length of 7 bits a byte.
func descriptor(b []byte, tag byte) []byte {
	if len(b) == 0 || b[0] != tag {
		return nil
	}
	for i := 1; i < min(len(b), 5); i++ {
		if b[i]&0x80 == 0 {
			return b[i+1:]
		}
	}
	return nil
}
