package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"
)

// chunkOf returns a RIFF chunk, padded.
func chunkOf(id string, body []byte) []byte {
	return chunkSized(id, uint32(len(body)), body)
}

// chunkSized is chunkOf with a size of its own.
func chunkSized(id string, size uint32, body []byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(id), size)
	b = append(b, body...)
	return append(b, make([]byte, len(body)%2)...)
}

func wav(riff string, chunks ...[]byte) []byte {
	body := bytes.Join(chunks, nil)
	b := binary.LittleEndian.AppendUint32([]byte(riff), uint32(4+len(body)))
	return append(append(b, "WAVE"...), body...)
}

// waveFmt returns the body of a fmt chunk.
func waveFmt(tag, channels, rate, align, bits int, rest ...byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, uint16(tag))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate*align))
	b = binary.LittleEndian.AppendUint16(b, uint16(align))
	b = binary.LittleEndian.AppendUint16(b, uint16(bits))
	return append(b, rest...)
}

var (
	pcm16     = waveFmt(1, 1, 8000, 2, 16)
	guidTail  = "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
	sixOf24   = append([]byte{22, 0, 24, 0, 0x3F, 0, 0, 0, 1, 0}, guidTail...)
	otherGUID = append([]byte{22, 0, 24, 0, 0x3F, 0, 0, 0, 1, 0}, guidTail[1:]+"\x00"...)
)

func TestWAVCodecs(t *testing.T) {
	data := chunkOf("data", sine(4000))
	for _, test := range []struct {
		format []byte
		codec  string // "" = refused
		plays  bool
	}{
		{pcm16, "pcm_s16le", true},
		{waveFmt(1, 2, 44100, 2, 8), "pcm_u8", true},
		{waveFmt(1, 2, 48000, 6, 24), "pcm_s24le", true},
		{waveFmt(1, 2, 48000, 6, 20), "pcm_s24le", true},
		{waveFmt(1, 1, 48000, 4, 32), "pcm_s32le", true},
		{waveFmt(3, 1, 48000, 4, 32), "pcm_f32le", true},
		{waveFmt(3, 1, 48000, 8, 64), "pcm_f64le", false},
		{waveFmt(6, 1, 8000, 1, 8, 0, 0), "pcm_alaw", true},
		{waveFmt(7, 1, 8000, 1, 8, 0, 0), "pcm_mulaw", true},
		{waveFmt(0x31, 1, 8000, 65, 0, 2, 0, 64, 1), "gsm_ms", false},
		{waveFmt(0xFFFE, 6, 48000, 18, 24, sixOf24...), "pcm_s24le", true},

		{waveFmt(0xFFFE, 6, 48000, 18, 24, otherGUID...), "", false},
		{waveFmt(0xFFFE, 6, 48000, 18, 24), "", false},
		{waveFmt(1, 0, 8000, 2, 16), "", false},
		{waveFmt(1, 65, 8000, 130, 16), "", false},
		{waveFmt(1, 1, 999, 2, 16), "", false},
		{waveFmt(1, 1, 8000, 3, 16), "", false},
		{waveFmt(1, 1, 8000, 0, 0), "", false},
		{waveFmt(3, 1, 8000, 2, 16), "", false},
		{waveFmt(0x83, 1, 8000, 10, 0), "", false},
		{waveFmt(0x31, 2, 8000, 65, 0), "", false},
		{pcm16[:14], "", false},
	} {
		f, err := identify(t, wav("RIFF", chunkOf("fmt ", test.format), data))
		if f.Codec != test.codec || f.BrowserPlays != test.plays || (err != nil) != (test.codec == "") {
			t.Errorf("% x: got %+v, %v, want %q", test.format, f, err, test.codec)
		}
		if err != nil && !errors.Is(err, ErrUnrecognized) {
			t.Errorf("% x: %v", test.format, err)
		}
	}
}

func TestWAVOfEveryLayoutIsProved(t *testing.T) {
	format, samples := chunkOf("fmt ", pcm16), sine(4000)
	rifx := wav("RIFX", slices.Concat([]byte("fmt \x00\x00\x00\x10\x00\x01\x00\x01\x00\x00\x1F\x40\x00\x00\x3E\x80\x00\x02\x00\x10"), []byte("data\x00\x00\x1F\x40"), samples))
	for name, b := range map[string][]byte{
		"plain":                     wav("RIFF", format, chunkOf("data", samples)),
		"chunks before":             wav("RIFF", chunkOf("bext", make([]byte, 603)), format, chunkOf("LIST", []byte("INFO")), chunkOf("data", samples)),
		"chunks after":              wav("RIFF", format, chunkOf("data", samples), chunkOf("LIST", []byte("INFO"))),
		"RF64":                      wav("RF64", chunkOf("ds64", make([]byte, 28)), format, chunkSized("data", 0xFFFFFFFF, samples)),
		"being written, 0":          wav("RIFF", format, chunkSized("data", 0, samples)),
		"being written, 0xFFFFFFFF": wav("RIFF", format, chunkSized("data", 0xFFFFFFFF, samples)),
		"written to a pipe by SoX":  wav("RIFF", format, chunkSized("data", 0x7FFFFFFF-36, samples)),
		"samples beyond 100 KiB":    wav("RIFF", chunkOf("JUNK", make([]byte, 100<<10)), format, chunkOf("JUNK", make([]byte, 100<<10)), chunkOf("data", samples)),
		"big-endian":                rifx,
		"one sample":                wav("RIFF", format, chunkOf("data", []byte{1, 2})),
		"silence":                   wav("RIFF", format, chunkOf("data", make([]byte, 64<<10))),
	} {
		if f, err := identify(t, b); err != nil || f.Container != "wav" {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestWAVWithoutSamplesIsEmpty(t *testing.T) {
	format := chunkOf("fmt ", pcm16)
	whole := wav("RIFF", format, chunkOf("data", nil))
	for n := 12; n <= len(whole); n++ { // being written
		if _, err := identify(t, whole[:n]); !errors.Is(err, ErrEmpty) {
			t.Errorf("%d bytes of a header: %v", n, err)
		}
	}
	for name, b := range map[string][]byte{
		"chunks after":     wav("RIFF", format, chunkOf("data", nil), chunkOf("LIST", []byte("INFOx"))),
		"being written":    wav("RIFF", format, chunkSized("data", 0xFFFFFFFF, nil)),
		"half a sample":    wav("RIFF", format, chunkSized("data", 2, nil), []byte{1}),
		"samples not here": wav("RIFF", format, chunkSized("data", 8000, nil)),
	} {
		if _, err := identify(t, b); !errors.Is(err, ErrEmpty) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWAVRefusesWhatDoesNotChain(t *testing.T) {
	format, data := chunkOf("fmt ", pcm16), chunkOf("data", sine(100))
	many := bytes.Repeat(chunkOf("JUNK", make([]byte, 4<<10)), 100)
	for name, b := range map[string][]byte{
		"format after the samples": wav("RIFF", data, format),
		"chunk name not printable": wav("RIFF", chunkOf("a\x00bc", nil), format, data),
		"chunk beyond the end":     wav("RIFF", chunkSized("JUNK", 1<<20, nil), format, data),
		"too many chunks":          wav("RIFF", many, format, data),
		"ADPCM blocks":             wav("RIFF", chunkOf("fmt ", waveFmt(0x11, 1, 8000, 256, 4)), chunkOf("data", randomBytes(4096))),
		"Microsoft ADPCM blocks":   wav("RIFF", chunkOf("fmt ", waveFmt(2, 1, 8000, 256, 4)), chunkOf("data", randomBytes(4096))),
		"one ADPCM block":          wav("RIFF", chunkOf("fmt ", waveFmt(0x11, 1, 8000, 60000, 4)), chunkOf("data", randomBytes(60000))),
		"MP3 frames":               wav("RIFF", chunkOf("fmt ", waveFmt(0x55, 1, 8000, 1, 0)), chunkOf("data", randomBytes(4096))),
	} {
		if f, err := identify(t, b); !errors.Is(err, ErrUnrecognized) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestWAVOfMP3IsProvedByItsFrames(t *testing.T) {
	b := wav("RIFF", chunkOf("fmt ", waveFmt(0x55, 1, 8000, 1, 0)), chunkOf("data", sample(t, "mp3.mp3")))
	if f, err := identify(t, b); err != nil || f.Codec != "mp3" || f.Type != "audio/wav" {
		t.Fatalf("%+v, %v", f, err)
	}
}

// sine returns n 16-bit samples of a tone.
func sine(n int) []byte {
	var b []byte
	for i := range n {
		v := 12000 * math.Sin(float64(i)*2*math.Pi*440/8000)
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(v)))
	}
	return b
}
