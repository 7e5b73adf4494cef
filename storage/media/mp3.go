package media

import (
	"bytes"
	"encoding/binary"
)

const (
	// minFrames headers in a row, each where the one before says, make a
	// proof: random bytes start with one 1.4 times in 10,000 (all layers),
	// with two 7 times in 10¹⁰, with three 4 times in 10¹⁵.
	minFrames = 3
	// frameBytes is what the proof looks at. The longest frame (MPEG-2.5
	// layer II, 160 kbit/s at 8 kHz) has 2,881 bytes.
	frameBytes = 16 << 10
)

func isMPEGAudio(head []byte) bool {
	_, ok := parseMPEGFrame(head)
	return ok
}

// proveMPEGAudio proves MPEG audio, layer III ("MP3") or older, whose first
// frame is at off. A recording of two frames has to end exactly with them.
func proveMPEGAudio(w *window, off int64) (Format, error) {
	b, err := w.at(off, frameBytes)
	if err != nil {
		return Format{}, err
	}
	frames, rest := mpegChain(b)
	switch {
	case len(frames) >= minFrames:
	case len(frames) == minFrames-1 && off+int64(len(b)) == w.size && isTail(rest):
	default:
		return Format{}, unrecognized("%d MPEG audio frames in a row, %d needed", len(frames), minFrames)
	}
	f := mpegFormat(frames[0])
	f.BitRate = mpegBitRate(b, frames)
	return f, nil
}

// mpegChain returns the headers that chain from the start of b, the last of
// which may belong to a frame that b cuts, and what is left after the whole ones.
func mpegChain(b []byte) (frames []mpegFrame, rest []byte) {
	for {
		f, ok := parseMPEGFrame(b)
		if !ok || len(frames) > 0 && !f.follows(frames[0]) {
			return frames, b
		}
		frames = append(frames, f)
		if f.length > len(b) {
			return frames, b
		}
		b = b[f.length:]
	}
}

// isTail reports whether a recording may end with b: nothing, an ID3v1 tag
// (128 bytes) or an APE tag.
func isTail(b []byte) bool {
	return len(b) == 0 ||
		len(b) == 128 && bytes.HasPrefix(b, []byte("TAG")) ||
		bytes.HasPrefix(b, []byte("APETAGEX"))
}

func mpegFormat(f mpegFrame) Format {
	codec := [...]string{1: "mp1", 2: "mp2", 3: "mp3"}[f.layer]
	out := Format{
		Type: "audio/mpeg", Ext: codec, Container: "mp3", Codec: codec,
		SampleRate: f.rate, Channels: f.channels, BrowserPlays: true,
	}
	if f.layer != 3 {
		out.BrowserPlays, out.Browser = false, "browsers do not play MPEG audio layers I and II"
	}
	return out
}

// mpegBitRate returns the average that a Xing or VBRI header in the first
// frame states, else the bit rate that all frames of b share, else 0.
func mpegBitRate(b []byte, frames []mpegFrame) int {
	first := frames[0]
	if r := statedBitRate(b[:min(first.length, len(b))], first); r != 0 {
		return r
	}
	for _, f := range frames[2:] { // the first may be a header frame of another size
		if f.bitRate != frames[1].bitRate {
			return 0
		}
	}
	return frames[1].bitRate
}

// statedBitRate reads the Xing header, which follows the side information, or
// the VBRI header, 32 bytes behind the frame header. Both count the frames and
// bytes of a stream of variable bit rate (Xing's format description;
// Fraunhofer's VBRI). LAME's Info, the same for a constant one, is not needed.
func statedBitRate(b []byte, f mpegFrame) int {
	side := 17 // bytes: MPEG-1 mono, or MPEG-2 and 2.5 stereo
	switch {
	case f.version == 3 && f.channels == 2:
		side = 32
	case f.version != 3 && f.channels == 1:
		side = 9
	}
	var size, count uint32
	switch x, v := tail(b, 4+side), tail(b, 4+32); {
	case len(x) >= 16 && string(x[:4]) == "Xing":
		if x[7]&3 == 3 { // both counts present
			count, size = binary.BigEndian.Uint32(x[8:]), binary.BigEndian.Uint32(x[12:])
		}
	case len(v) >= 18 && string(v[:4]) == "VBRI":
		size, count = binary.BigEndian.Uint32(v[10:]), binary.BigEndian.Uint32(v[14:])
	}
	if count == 0 {
		return 0
	}
	r := float64(size) * 8 * float64(f.rate) / (float64(count) * float64(f.samples))
	if r < 1000 || r > 1e6 {
		return 0
	}
	return int(r)
}

// tail returns b from i on, nothing where b is shorter.
func tail(b []byte, i int) []byte { return b[min(i, len(b)):] }
