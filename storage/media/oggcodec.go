package media

import (
	"bytes"
	"encoding/binary"
)

// oggCodec recognizes the first packet of a stream: Opus (RFC 7845, section
// 5.1), Vorbis I (section 4.2.2), FLAC (RFC 9639, section 10.1), Speex (its
// manual, section 7), Theora (section 6.2).
func oggCodec(b []byte) (Format, bool) {
	const uneven = "Safari before 18.4 does not play Ogg"
	f := Format{Type: "audio/ogg", Ext: "ogg", Container: "ogg", BrowserPlays: true, Browser: uneven}
	switch {
	case bytes.HasPrefix(b, []byte("OpusHead")) && len(b) >= 19 && b[8]>>4 == 0 && b[9] > 0:
		f.Ext, f.Codec = "opus", "opus"
		f.SampleRate, f.Channels = 48000, int(b[9]) // what Opus decodes to
	case bytes.HasPrefix(b, []byte("\x01vorbis\x00\x00\x00\x00")) && len(b) >= 30:
		f.Codec = "vorbis"
		f.SampleRate, f.Channels = int(binary.LittleEndian.Uint32(b[12:])), int(b[11])
		f.BitRate = max(0, int(int32(binary.LittleEndian.Uint32(b[20:]))))
	case bytes.HasPrefix(b, []byte("\x7fFLAC\x01")) && len(b) >= 9+8+34 && string(b[9:13]) == "fLaC":
		info, ok := parseStreamInfo(b[17:])
		if !ok {
			return Format{}, false
		}
		f.Codec, f.SampleRate, f.Channels = "flac", info.rate, info.channels
	case bytes.HasPrefix(b, []byte("Speex   ")) && len(b) >= 80:
		f.Ext, f.Codec, f.BrowserPlays, f.Browser = "spx", "speex", false, "browsers do not play Speex"
		f.SampleRate, f.Channels = int(binary.LittleEndian.Uint32(b[36:])), int(binary.LittleEndian.Uint32(b[48:]))
	case bytes.HasPrefix(b, []byte("\x80theora\x03")):
		return Format{
			Type: "video/ogg", Ext: "ogv", Container: "ogg", Codec: "theora",
			Browser: "browsers no longer play Theora",
		}, true
	default:
		return Format{}, false
	}
	sane := f.SampleRate > 0 && f.SampleRate < 1_000_000 && f.Channels > 0 && f.Channels < 256
	return f, sane
}
