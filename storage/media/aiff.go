package media

import (
	"encoding/binary"
	"math"
)

func isAIFF(head []byte) bool {
	return len(head) >= 12 && string(head[:4]) == "FORM" && (string(head[8:12]) == "AIFF" || string(head[8:12]) == "AIFC")
}

// proveAIFF walks the chunks to the samples (Apple's AIFF 1.3 and AIFF-C).
func proveAIFF(w *window) (Format, error) {
	var f Format
	var width int
	for c, err := range w.chunks(12, w.size, binary.BigEndian) {
		if err != nil {
			return Format{}, err
		}
		switch c.id {
		case "COMM":
			if f, width, err = readComm(w, c); err != nil {
				return Format{}, err
			}
		case "SSND":
			return f, proveSound(w, c, f, width)
		}
		if c.size > w.size-c.off {
			return Format{}, unrecognized("its %q chunk is longer than the file", c.id)
		}
	}
	return Format{}, ErrEmpty
}

// aiffCodecs are AIFF-C's compression types with the bytes per sample.
var aiffCodecs = map[string]struct {
	codec string
	width int
}{
	"sowt": {"pcm_s16le", 2}, "twos": {"pcm_s16be", 2}, "in24": {"pcm_s24be", 3}, "in32": {"pcm_s32be", 4},
	"fl32": {"pcm_f32be", 4}, "FL32": {"pcm_f32be", 4}, "fl64": {"pcm_f64be", 8}, "FL64": {"pcm_f64be", 8},
	"alaw": {"pcm_alaw", 1}, "ALAW": {"pcm_alaw", 1}, "ulaw": {"pcm_mulaw", 1}, "ULAW": {"pcm_mulaw", 1},
}

// readComm reads the common chunk: channels, frames, bits per sample, an
// 80-bit sample rate and, in AIFF-C, the compression type.
func readComm(w *window, c chunk) (f Format, width int, err error) {
	b, err := w.full(c.off, 18)
	if err != nil {
		return f, 0, err
	}
	bits := int(binary.BigEndian.Uint16(b[6:]))
	f = Format{
		Type: "audio/aiff", Ext: "aiff", Container: "aiff",
		SampleRate: int(extended(b[8:18])), Channels: int(binary.BigEndian.Uint16(b)),
		BrowserPlays: true, Browser: "only Safari plays AIFF",
	}
	if !isSane(f.Channels, f.SampleRate) || bits < 1 || bits > 64 {
		return f, 0, unrecognized("its AIFF format makes no sense")
	}
	width = (bits + 7) / 8
	f.Codec = map[int]string{1: "pcm_s8", 2: "pcm_s16be", 3: "pcm_s24be", 4: "pcm_s32be"}[width]
	f.BitRate = f.SampleRate * f.Channels * width * 8
	if string(w.head[8:12]) == "AIFC" {
		width, err = f.readCompression(w, c, width)
	}
	if err == nil && f.Codec == "" {
		err = unrecognized("an AIFF of %d bits", bits)
	}
	return f, width, err
}

// readCompression sets the codec by AIFF-C's compression type and returns the
// bytes per sample, width if it is not compressed.
func (f *Format) readCompression(w *window, c chunk, width int) (int, error) {
	b, err := w.full(c.off+18, 4)
	if err != nil || string(b) == "NONE" {
		return width, err
	}
	known, ok := aiffCodecs[string(b)]
	if !ok {
		return 0, unrecognized("unknown AIFF-C compression %q", b)
	}
	f.Codec, f.BitRate = known.codec, f.SampleRate*f.Channels*known.width*8
	return known.width, nil
}

// proveSound proves the samples in the sound chunk c, which start with an
// offset and a block size.
func proveSound(w *window, c chunk, f Format, width int) error {
	if f.Type == "" {
		return unrecognized("its samples come before their format")
	}
	off, n := c.off+8, min(c.size, w.size-c.off)-8
	if c.size == 0 {
		n = w.size - off // not finished
	}
	if n < int64(width) {
		return ErrEmpty
	}
	b, err := w.at(off, int(min(n, sampleBytes(w, off))))
	if err != nil {
		return err
	}
	top := 0
	if f.Codec == "pcm_s16le" {
		top = 1
	}
	s := samples{b, width, top, f.Channels, minSamples}
	if s.uniform() {
		return &EncryptedError{Scheme: "samples"}
	}
	return nil
}

// extended reads an 80-bit IEEE 754 number, 0 where it is none for a rate.
func extended(b []byte) float64 {
	exponent := int(binary.BigEndian.Uint16(b))
	if exponent > 16383+32 {
		return 0
	}
	return math.Ldexp(float64(binary.BigEndian.Uint64(b[2:])), exponent-16383-63)
}
