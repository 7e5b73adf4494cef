package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

// frames returns MPEG audio frames with the given header.
func frames(header string, lengths ...int) []byte {
	var b []byte
	for _, n := range lengths {
		b = append(b, header...)
		b = append(b, make([]byte, n-len(header))...)
	}
	return b
}

const (
	recorder16 = "\xFF\xE3\x28\xC4" // MPEG-2.5 layer III, 16 kbit/s, 8 kHz, mono: 144 bytes
	recorder32 = "\xFF\xE3\x48\xC4" // 32 kbit/s: 288 bytes
)

// id3 returns an ID3v2 tag of the given version and flags around body.
func id3(version, flags byte, body []byte) []byte {
	n := len(body)
	b := append([]byte("ID3"), version, 0, flags, byte(n>>21), byte(n>>14&0x7F), byte(n>>7&0x7F), byte(n&0x7F))
	b = append(b, body...)
	if flags&0x10 != 0 {
		b = append(b, "3DI\x04\x00\x10\x00\x00\x00\x00"...)
	}
	return b
}

func TestMPEGFrameFields(t *testing.T) {
	for header, want := range map[string]mpegFrame{
		recorder16:         {version: 0, layer: 3, rate: 8000, bitRate: 16000, channels: 1, length: 144, samples: 576},
		recorder32:         {version: 0, layer: 3, rate: 8000, bitRate: 32000, channels: 1, length: 288, samples: 576},
		"\xFF\xFB\x90\x64": {version: 3, layer: 3, rate: 44100, bitRate: 128000, channels: 2, length: 417, samples: 1152},
		"\xFF\xFA\x92\x00": {version: 3, layer: 3, rate: 44100, bitRate: 128000, channels: 2, length: 418, samples: 1152},
		"\xFF\xF3\x84\xC0": {version: 2, layer: 3, rate: 24000, bitRate: 64000, channels: 1, length: 192, samples: 576},
		"\xFF\xFD\xA4\x00": {version: 3, layer: 2, rate: 48000, bitRate: 192000, channels: 2, length: 576, samples: 1152},
		"\xFF\xE5\xE8\x00": {version: 0, layer: 2, rate: 8000, bitRate: 160000, channels: 2, length: 2880, samples: 1152},
		"\xFF\xFF\x10\x00": {version: 3, layer: 1, rate: 44100, bitRate: 32000, channels: 2, length: 32, samples: 384},
	} {
		if f, ok := parseMPEGFrame([]byte(header)); !ok || f != want {
			t.Errorf("%x: got %+v, %t, want %+v", header, f, ok, want)
		}
	}
	for name, header := range map[string]string{
		"no sync": "\xFF\xDB\x90\x64", "reserved version": "\xFF\xEB\x90\x64", "reserved layer": "\xFF\xF9\x90\x64",
		"free format": "\xFF\xFB\x00\x64", "bad bit rate": "\xFF\xFB\xF0\x64", "reserved rate": "\xFF\xFB\x9C\x64",
		"reserved emphasis": "\xFF\xFB\x90\x66", "cut": "\xFF\xFB\x90",
	} {
		if f, ok := parseMPEGFrame([]byte(header)); ok {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestMP3IsProvedByChainedFrames(t *testing.T) {
	audio := frames(recorder16, 144, 144, 144, 144)
	picture := bytes.Repeat([]byte{0xFF, 0xE3}, 150<<10)
	for name, b := range map[string][]byte{
		"frames":                 audio,
		"the third frame cut":    audio[:2*144+4],
		"two frames to the end":  audio[:2*144],
		"two frames and ID3v1":   append(audio[:2*144:2*144], append([]byte("TAG"), make([]byte, 125)...)...),
		"two frames and APE":     append(audio[:2*144:2*144], "APETAGEX and more"...),
		"changing bit rate":      slices.Concat(frames(recorder16, 144), frames(recorder32, 288), frames(recorder16, 144)),
		"ID3v2.3":                append(id3(3, 0, make([]byte, 100)), audio...),
		"ID3v2.4 with a footer":  append(id3(4, 0x10, make([]byte, 100)), audio...),
		"two tags":               slices.Concat(id3(3, 0, []byte("one")), id3(4, 0, []byte("two")), audio),
		"zeros behind the tag":   slices.Concat(id3(3, 0, nil), make([]byte, 2048), audio),
		"picture of 300 KB":      append(id3(3, 0, picture), audio...),
		"two pictures of 300 KB": slices.Concat(id3(3, 0, picture), id3(3, 0, picture), audio),
	} {
		f, err := identify(t, b)
		if err != nil || f.Type != "audio/mpeg" || f.SampleRate != 8000 || f.Channels != 1 || !f.BrowserPlays {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestMP3WithoutAChainIsRefused(t *testing.T) {
	audio := frames(recorder16, 144, 144, 144, 144)
	for name, b := range map[string][]byte{
		"one frame":                audio[:144],
		"two frames and a half":    audio[:2*144+3],
		"two frames and others":    append(audio[:2*144:2*144], "more"...),
		"a byte before":            append([]byte{0}, audio...),
		"another sample rate":      slices.Concat(frames(recorder16, 144), frames("\xFF\xE3\x24\xC4", 96), audio),
		"tag longer than the file": id3(3, 0, make([]byte, 100))[:60],
		"no frame behind the tag":  append(id3(3, 0, make([]byte, 100)), randomBytes(4096)...),
		"too many zeros":           slices.Concat(id3(3, 0, nil), make([]byte, 8<<10), audio),
		"too many tags":            append(bytes.Repeat(id3(3, 0, nil), 9), audio...),
	} {
		if f, err := identify(t, b); !errors.Is(err, ErrUnrecognized) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestTagWithoutAudioIsEmpty(t *testing.T) {
	for name, b := range map[string][]byte{
		"tag":           id3(3, 0, make([]byte, 100)),
		"tag and zeros": append(id3(3, 0, make([]byte, 100)), make([]byte, 50)...),
	} {
		if _, err := identify(t, b); !errors.Is(err, ErrEmpty) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMP3BitRateIsConstantOrStated(t *testing.T) {
	xing := frames(recorder32, 288)
	copy(xing[4+9:], "Xing\x00\x00\x00\x03")
	binary.BigEndian.PutUint32(xing[4+9+8:], 1000)
	binary.BigEndian.PutUint32(xing[4+9+12:], 180_000)
	vbri := frames(recorder32, 288)
	copy(vbri[4+32:], "VBRI")
	binary.BigEndian.PutUint32(vbri[4+32+10:], 180_000)
	binary.BigEndian.PutUint32(vbri[4+32+14:], 1000)
	steady, varied := frames(recorder16, 144, 144, 144), append(frames(recorder16, 144, 144), frames(recorder32, 288)...)
	for name, test := range map[string]struct {
		b    []byte
		want int
	}{
		"constant":                  {steady, 16000},
		"constant after a header":   {append(frames(recorder32, 288), steady...), 16000},
		"stated by Xing":            {append(xing, varied...), 20000},
		"stated by VBRI":            {append(vbri, varied...), 20000},
		"variable without a header": {varied, 0},
	} {
		if f, err := identify(t, test.b); err != nil || f.BitRate != test.want {
			t.Errorf("%s: %d, %v, want %d", name, f.BitRate, err, test.want)
		}
	}
}

func TestTagsBeforeOtherAudio(t *testing.T) {
	for _, name := range []string{"adts.aac", "flac.flac"} {
		want, _ := identify(t, sample(t, name))
		got, err := identify(t, append(id3(4, 0, make([]byte, 40<<10)), sample(t, name)...))
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}
