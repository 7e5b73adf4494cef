package media

import "bytes"

const (
	maxTags = 8
	// maxPadding zero bytes may lie between an ID3v2 tag and the first frame:
	// taggers that leave them round the tag up to a file system block.
	maxPadding = 4 << 10
)

func isTagged(head []byte) bool {
	_, ok := id3Length(head)
	return ok
}

// id3Length returns the length of the ID3v2 tag that b starts with (ID3v2.4.0
// structure, section 3.1): a header of 10 bytes, a size of 4 × 7 bits, and a
// footer of 10 bytes if the flag says so.
func id3Length(b []byte) (int64, bool) {
	if len(b) < 10 || string(b[:3]) != "ID3" || b[3] < 2 || b[3] > 4 || b[4] == 0xFF {
		return 0, false
	}
	n := int64(10)
	for i, c := range b[6:10] {
		if c >= 0x80 {
			return 0, false
		}
		n += int64(c) << (7 * (3 - i))
	}
	if b[3] == 4 && b[5]&0x10 != 0 {
		n += 10
	}
	return n, true
}

// proveTagged proves what follows one or more ID3v2 tags and zero padding.
func proveTagged(w *window) (Format, error) {
	var off int64
	for range maxTags {
		b, err := w.at(off, 10)
		if err != nil {
			return Format{}, err
		}
		n, ok := id3Length(b)
		if !ok {
			break
		}
		off += n
	}
	switch {
	case off == w.size:
		return Format{}, ErrEmpty
	case off > w.size:
		return Format{}, unrecognized("its ID3 tag is longer than the file")
	}
	b, err := w.at(off, maxPadding+4)
	if err != nil {
		return Format{}, err
	}
	music := bytes.TrimLeft(b, "\x00")
	return proveUntagged(w, off+int64(len(b)-len(music)), music)
}

// proveUntagged proves what starts at off, behind the tags; b is its start.
func proveUntagged(w *window, off int64, b []byte) (Format, error) {
	switch {
	case off == w.size:
		return Format{}, ErrEmpty
	case isMPEGAudio(b):
		return proveMPEGAudio(w, off)
	case isADTS(b):
		return proveADTS(w, off)
	case isFLAC(b):
		return proveFLAC(w, off)
	}
	return Format{}, unrecognized("no audio frame follows its ID3 tag")
}
