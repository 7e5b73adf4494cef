package media

import "encoding/binary"

// An mpegFrame is the header of one MPEG audio frame (ISO/IEC 11172-3 and
// 13818-3, and MPEG-2.5, Fraunhofer's extension for 8 to 12 kHz).
type mpegFrame struct {
	version  int // 0: MPEG-2.5, 2: MPEG-2, 3: MPEG-1, as in the header
	layer    int // 1, 2 or 3
	rate     int // Hz
	bitRate  int // bit/s
	channels int
	length   int // bytes, header included
	samples  int // per channel
}

// Bit rates in kbit/s by layer and index, and sample rates of MPEG-1 in Hz; MPEG-2
// halves the latter, MPEG-2.5 quarters them.
var (
	mpeg1BitRates = [4][15]int{
		1: {0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
		2: {0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
		3: {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	}
	mpeg2BitRates = [4][15]int{
		1: {0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
		2: {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
		3: {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
	}
	mpegRates = [3]int{44100, 48000, 32000}
)

// parseMPEGFrame reads a frame header. Reserved values are refused, and so is
// free format (bit rate index 0), whose frames do not say their length.
func parseMPEGFrame(b []byte) (mpegFrame, bool) {
	if len(b) < 4 {
		return mpegFrame{}, false
	}
	h := binary.BigEndian.Uint32(b)
	version, layer := int(h>>19&3), 4-int(h>>17&3)
	bitRate, rate := h>>12&15, h>>10&3
	if h>>21 != 0x7FF || version == 1 || layer == 4 || bitRate == 0 || bitRate == 15 || rate == 3 || h&3 == 2 {
		return mpegFrame{}, false
	}
	f := mpegFrame{version: version, layer: layer, channels: 2}
	if h>>6&3 == 3 {
		f.channels = 1
	}
	f.rate, f.bitRate = mpegRates[rate], mpeg2BitRates[layer][bitRate]*1000
	switch version {
	case 3:
		f.bitRate = mpeg1BitRates[layer][bitRate] * 1000
	case 2:
		f.rate /= 2
	case 0:
		f.rate /= 4
	}
	f.measure(int(h >> 9 & 1))
	return f, true
}

// measure sets samples and length; padding is one slot, 4 bytes in layer I.
func (f *mpegFrame) measure(padding int) {
	switch {
	case f.layer == 1:
		f.samples = 384
		f.length = (12*f.bitRate/f.rate + padding) * 4
		return
	case f.layer == 3 && f.version != 3:
		f.samples = 576
	default:
		f.samples = 1152
	}
	f.length = f.samples/8*f.bitRate/f.rate + padding
}

// follows reports whether f may come after prev in one stream.
func (f mpegFrame) follows(prev mpegFrame) bool {
	return f.version == prev.version && f.layer == prev.layer && f.rate == prev.rate
}
