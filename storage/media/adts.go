package media

import "encoding/binary"

// adtsRates are AAC's sample rates by index (ISO/IEC 14496-3, table 1.18).
var adtsRates = [13]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// adtsChannels are the channels by configuration; 0 leaves it to the stream.
var adtsChannels = [8]int{0, 1, 2, 3, 4, 5, 6, 8}

// An adtsFrame is the header of one AAC frame (ISO/IEC 14496-3, 1.A.2).
type adtsFrame struct {
	fixed          uint32 // the bits that do not change within a stream
	rate, channels int
	length         int // bytes, header included
}

func parseADTS(b []byte) (adtsFrame, bool) {
	if len(b) < 7 {
		return adtsFrame{}, false
	}
	h := binary.BigEndian.Uint64(append(b[:7:7], 0))
	rate := int(h >> 42 & 15)
	f := adtsFrame{fixed: uint32(h >> 36), length: int(h >> 21 & 0x1FFF)}
	// 12 bits of sync and layer 0.
	if h>>52 != 0xFFF || h>>49&3 != 0 || rate >= len(adtsRates) {
		return adtsFrame{}, false
	}
	header := 7
	if h>>48&1 == 0 { // protected by a CRC
		header = 9
	}
	f.rate, f.channels = adtsRates[rate], adtsChannels[h>>38&7]
	return f, f.length > header
}

func isADTS(head []byte) bool {
	_, ok := parseADTS(head)
	return ok
}

// proveADTS proves AAC whose first frame is at off, by the rule for MP3.
func proveADTS(w *window, off int64) (Format, error) {
	b, err := w.at(off, headBytes) // a frame has up to 8,191 bytes
	if err != nil {
		return Format{}, err
	}
	first, _ := parseADTS(b)
	count, rest := 0, b
	for f, ok := first, true; ok && f.fixed == first.fixed; f, ok = parseADTS(rest) {
		count++
		rest = tail(rest, f.length)
	}
	toEnd := off+int64(len(b)) == w.size && isTail(rest)
	if count < minFrames-1 || count < minFrames && !toEnd {
		return Format{}, unrecognized("%d AAC frames in a row, %d needed", count, minFrames)
	}
	return Format{
		Type: "audio/aac", Ext: "aac", Container: "adts", Codec: "aac",
		SampleRate: first.rate, Channels: first.channels, BrowserPlays: true,
	}, nil
}
