package media

import "bytes"

// An amrKind is one of the two AMR storage formats for one channel (RFC 4867,
// section 5): a magic line, then frames of 20 ms.
type amrKind struct {
	magic   string
	rate    int
	codec   string
	payload [16]int // bytes after the frame's first by frame type; -1 = not allowed
}

var amrKinds = []amrKind{
	{"#!AMR\n", 8000, "amr_nb", [16]int{12, 13, 15, 17, 19, 20, 26, 31, 5, -1, -1, -1, -1, -1, -1, 0}},
	{"#!AMR-WB\n", 16000, "amr_wb", [16]int{17, 23, 32, 36, 40, 46, 50, 58, 60, 5, -1, -1, -1, -1, 0, 0}},
}

func isAMR(head []byte) bool { return bytes.HasPrefix(head, []byte("#!AMR")) }

// proveAMR asks for the frames of the first 32 KiB, all of them: one alone is
// allowed by a random byte once in 13. Only the last may be cut.
func proveAMR(w *window) (Format, error) {
	for _, k := range amrKinds {
		b, ok := bytes.CutPrefix(w.head, []byte(k.magic))
		switch {
		case !ok:
			continue
		case len(b) == 0:
			return Format{}, ErrEmpty
		case !k.chains(b):
			return Format{}, unrecognized("its AMR frames do not chain")
		}
		return Format{
			Type: "audio/amr", Ext: "amr", Container: "amr", Codec: k.codec,
			SampleRate: k.rate, Channels: 1, Browser: "browsers do not play AMR",
		}, nil
	}
	return Format{}, unrecognized("an AMR of several channels or an unknown kind")
}

// chains reports whether b is frames throughout. Their first byte is a zero
// bit, 4 bits of frame type, the quality bit, and two zero bits.
func (k amrKind) chains(b []byte) bool {
	for len(b) > 0 {
		n := k.payload[b[0]>>3&15]
		if b[0]&0x83 != 0 || n < 0 {
			return false
		}
		b = tail(b, 1+n)
	}
	return true
}
