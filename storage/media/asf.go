package media

import (
	"bytes"
	"encoding/binary"
)

// GUIDs of ASF objects as they are stored (Microsoft's ASF specification,
// section 10).
const (
	asfHeader  = "\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9\x00\xAA\x00\x62\xCE\x6C"
	asfData    = "\x36\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9\x00\xAA\x00\x62\xCE\x6C"
	asfStream  = "\x91\x07\xDC\xB7\xB7\xA9\xCF\x11\x8E\xE6\x00\xC0\x0C\x20\x53\x65"
	asfSound   = "\x40\x9E\x69\xF8\x4D\x5B\xCF\x11\xA8\xFD\x00\x80\x5F\x5C\x44\x2B"
	asfPicture = "\xC0\xEF\x19\xBC\x4D\x5B\xCF\x11\xA8\xFD\x00\x80\x5F\x5C\x44\x2B"
	// Content encryption, its extension, and advanced content encryption.
	asfCipher  = "\xFB\xB3\x11\x22\x23\xBD\xD2\x11\xB4\xB7\x00\xA0\xC9\x55\xFC\x6E"
	asfCipher2 = "\x14\xE6\x8A\x29\x22\x26\x17\x4C\xB9\x35\xDA\xE0\x7E\xE9\x28\x9C"
	asfCipher3 = "\x33\x85\x05\x43\x81\x69\xE6\x49\x9B\x74\xAD\x12\xCB\x86\xD5\x8C"

	asfHeadSize = 30 // GUID, size 64, count of objects 32, two reserved bytes
	asfDataSize = 50 // GUID, size 64, file GUID, count of packets 64, two reserved bytes
)

func isASF(head []byte) bool { return bytes.HasPrefix(head, []byte(asfHeader)) }

// proveASF reads the objects in the header and asks for the data object
// behind it, with a packet.
func proveASF(w *window) (Format, error) {
	h, err := w.full(0, asfHeadSize)
	if err != nil {
		return Format{}, err
	}
	end := binary.LittleEndian.Uint64(h[16:])
	if end < asfHeadSize || end > uint64(w.size) || h[28] != 1 || h[29] != 2 {
		return Format{}, unrecognized("its ASF header makes no sense")
	}
	f := Format{Container: "asf", Browser: "browsers do not play Windows Media"}
	if err := f.readASFObjects(w, int64(end)); err != nil {
		return Format{}, err
	}
	if f.Type == "" {
		return Format{}, unrecognized("an ASF without sound or picture")
	}
	b, err := w.at(int64(end), asfDataSize+1)
	switch {
	case err != nil:
		return Format{}, err
	case len(b) == 0:
		return Format{}, ErrEmpty
	case !bytes.HasPrefix(b, []byte(asfData)):
		return Format{}, unrecognized("no ASF data follows the header")
	case len(b) <= asfDataSize:
		return Format{}, ErrEmpty
	}
	return f, nil
}

func (f *Format) readASFObjects(w *window, end int64) error {
	off := int64(asfHeadSize)
	for range maxChunks {
		if off == end {
			return nil
		}
		h, err := w.full(off, 24)
		if err != nil {
			return err
		}
		size := binary.LittleEndian.Uint64(h[16:])
		if size < 24 || size > uint64(end-off) {
			break
		}
		switch string(h[:16]) {
		case asfCipher, asfCipher2, asfCipher3:
			return &EncryptedError{Scheme: "Windows Media DRM"}
		case asfStream:
			if err := f.readASFStream(w, off+24); err != nil {
				return err
			}
		}
		off += int64(size)
	}
	return unrecognized("its ASF objects do not chain")
}

// readASFStream reads a stream properties object: type, error correction,
// time offset, two lengths and flags make 54 bytes, then comes the format.
func (f *Format) readASFStream(w *window, off int64) error {
	b, err := w.full(off, 54+18)
	if err != nil {
		return err
	}
	switch string(b[:16]) {
	case asfPicture:
		f.Type, f.Ext = "video/x-ms-asf", "wmv"
	case asfSound:
		wave, ok := parseWaveFormat(b[54:], binary.LittleEndian)
		if !ok {
			return unrecognized("an ASF sound format makes no sense")
		}
		f.Codec, f.SampleRate, f.Channels = wave.streamCodec(), wave.rate, wave.channels
		f.BitRate = wave.average * 8
		if f.Type == "" {
			f.Type, f.Ext = "audio/x-ms-wma", "wma"
		}
	}
	return nil
}
