package media

import (
	"encoding/binary"
	"encoding/hex"
)

// A waveFormat is a WAVEFORMATEX (Microsoft, mmeapi.h; RFC 2361 lists the tags).
type waveFormat struct {
	order    binary.ByteOrder
	tag      uint16
	channels int
	rate     int // Hz
	average  int // bytes per second
	align    int // bytes per block: one sample of every channel, or a coded block
	bits     int // per sample of a channel
	codec    waveCodec
}

const tagExtensible = 0xFFFE

// extensibleTail ends the sub-format GUID of a WAVEFORMATEXTENSIBLE whose
// first two bytes are a format tag (ksmedia.h, KSDATAFORMAT_SUBTYPE_*).
const extensibleTail = "000000001000800000aa00389b71"

// readWaveFormat reads and checks the fmt chunk c.
func readWaveFormat(w *window, c chunk, order binary.ByteOrder) (waveFormat, error) {
	b, err := w.at(c.off, int(min(c.size, 40)))
	if err != nil {
		return waveFormat{}, err
	}
	f, ok := parseWaveFormat(b, order)
	if !ok {
		return waveFormat{}, unrecognized("its WAV format makes no sense")
	}
	if f.codec = f.find(); f.codec.name == "" {
		return waveFormat{}, unrecognized("unknown WAV format %#x with %d bits in blocks of %d", f.tag, f.bits, f.align)
	}
	return f, nil
}

// parseWaveFormat reads the fields, with the sub-format of an extensible one
// in the place of its tag, and refuses values out of bounds. A missing bits
// field (WAVEFORMAT) is refused too.
func parseWaveFormat(b []byte, order binary.ByteOrder) (waveFormat, bool) {
	if len(b) < 16 {
		return waveFormat{}, false
	}
	f := waveFormat{
		order:    order,
		tag:      order.Uint16(b),
		channels: int(order.Uint16(b[2:])),
		rate:     int(order.Uint32(b[4:])),
		average:  int(order.Uint32(b[8:])),
		align:    int(order.Uint16(b[12:])),
		bits:     int(order.Uint16(b[14:])),
	}
	if f.tag == tagExtensible {
		if len(b) < 40 || hex.EncodeToString(b[26:40]) != extensibleTail {
			return waveFormat{}, false
		}
		f.tag = order.Uint16(b[24:])
	}
	return f, isSane(f.channels, f.rate) && f.align > 0
}

// isSane bounds the fields that any PCM header has.
func isSane(channels, rate int) bool {
	return 1 <= channels && channels <= 64 && 1000 <= rate && rate <= 1_000_000
}

// format is what players are told; riff is the file's first four bytes.
func (f waveFormat) format(riff string) Format {
	out := Format{
		Type: "audio/wav", Ext: "wav", Container: "wav", Codec: f.codec.name,
		SampleRate: f.rate, Channels: f.channels, BitRate: f.bitRate(),
		BrowserPlays: f.codec.plays, Browser: f.codec.browser,
	}
	switch {
	case riff == "RIFX":
		out.BrowserPlays, out.Browser = false, "browsers do not play big-endian WAV"
	case riff != "RIFF" && out.Browser == "":
		out.Browser = "not every browser plays " + riff + " WAV"
	}
	return out
}
