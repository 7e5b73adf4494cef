package media

import "encoding/binary"

// A waveCodec is how a WAV's samples are coded. The zero value is an unknown one.
type waveCodec struct {
	name    string
	plays   bool
	browser string
	// check refuses the first samples b if they cannot be what f says.
	check func(f waveFormat, b []byte) error
}

const unevenG711 = "not every browser plays G.711 WAV"

// find returns the codec of f if its fields agree with each other.
func (f waveFormat) find() waveCodec {
	if f.bits > 0 && f.align == (f.bits+7)/8*f.channels {
		if c := f.linear(); c.name != "" {
			return c
		}
	}
	return f.coded()
}

// linear returns the codecs with a fixed number of bytes per sample.
func (f waveFormat) linear() waveCodec {
	pcm := func(name string) waveCodec {
		if f.order == binary.BigEndian {
			name = name[:len(name)-2] + "be"
		}
		return waveCodec{name, true, "", checkLinear}
	}
	switch width := (f.bits + 7) / 8; {
	case f.tag == 1 && width == 1:
		return waveCodec{"pcm_u8", true, "", checkLinear}
	case f.tag == 1 && width == 2:
		return pcm("pcm_s16le")
	case f.tag == 1 && width == 3:
		return pcm("pcm_s24le")
	case f.tag == 1 && width == 4:
		return pcm("pcm_s32le")
	case f.tag == 3 && f.bits == 32:
		return pcm("pcm_f32le")
	case f.tag == 3 && f.bits == 64:
		c := pcm("pcm_f64le")
		c.plays, c.browser = false, "browsers do not play 64-bit float WAV"
		return c
	case f.tag == 6 && f.bits == 8:
		return waveCodec{"pcm_alaw", true, unevenG711, checkLinear}
	case f.tag == 7 && f.bits == 8:
		return waveCodec{"pcm_mulaw", true, unevenG711, checkLinear}
	}
	return waveCodec{}
}

// coded returns the codecs with blocks of several samples.
func (f waveFormat) coded() waveCodec {
	switch {
	case f.tag == 0x02 && f.bits == 4 && f.align >= 7*f.channels:
		return waveCodec{"adpcm_ms", false, "browsers do not play ADPCM", checkMSADPCM}
	case f.tag == 0x11 && (f.bits == 4 || f.bits == 3) && f.align >= 4*f.channels:
		return waveCodec{"adpcm_ima_wav", false, "browsers do not play ADPCM", checkIMA}
	case f.tag == 0x31 && f.channels == 1 && f.align == 65:
		return waveCodec{"gsm_ms", false, "browsers do not play GSM 6.10", checkBytes}
	case f.tag == 0x45 || f.tag == 0x64: // 0x45 is FFmpeg's choice
		return waveCodec{"adpcm_g726", false, "browsers do not play G.726", checkBytes}
	case f.tag == 0x14 || f.tag == 0x42:
		return waveCodec{"g723_1", false, "browsers do not play G.723.1", checkBytes}
	case f.tag == 0x50:
		return waveCodec{"mp2", false, "browsers do not play MPEG audio layers I and II", checkMPEG}
	case f.tag == 0x55:
		return waveCodec{"mp3", true, "not every browser plays MP3 in WAV", checkMPEG}
	}
	return waveCodec{}
}

// bitRate returns the bit rate, computed where writers get it wrong: FFmpeg
// states that of 16-bit samples for ADPCM.
func (f waveFormat) bitRate() int {
	perBlock := 0
	switch f.codec.name {
	case "adpcm_ima_wav":
		perBlock = (f.align-4*f.channels)*8/(f.bits*f.channels) + 1
	case "adpcm_ms":
		perBlock = (f.align-7*f.channels)*2/f.channels + 2
	default:
		return f.average * 8
	}
	return f.align * 8 * f.rate / perBlock
}

// streamCodec names the codec of a stream in AVI or ASF, "" if it is unknown.
func (f waveFormat) streamCodec() string {
	switch f.tag {
	case 0x55:
		return "mp3"
	case 0xFF:
		return "aac"
	case 0x160:
		return "wmav1"
	case 0x161:
		return "wmav2"
	case 0x162:
		return "wmapro"
	case 0x2000:
		return "ac3"
	}
	return f.find().name
}
