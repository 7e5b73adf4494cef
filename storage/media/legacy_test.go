package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

// iff returns an IFF chunk, which is a RIFF chunk with its size turned round.
func iff(id string, body []byte) []byte {
	b := chunkOf(id, body)
	binary.BigEndian.PutUint32(b[4:], uint32(len(body)))
	return b
}

func form(kind string, chunks ...[]byte) []byte {
	return iff("FORM", append([]byte(kind), bytes.Join(chunks, nil)...))
}

// comm returns a common chunk for one channel at 8 kHz.
func comm(bits byte, compression string) []byte {
	return iff("COMM", append([]byte("\x00\x01\x00\x00\x0F\xA0\x00"+string(rune(bits))+"\x40\x0B\xFA\x00\x00\x00\x00\x00\x00\x00"), compression...))
}

func sound(samples []byte) []byte { return iff("SSND", append(make([]byte, 8), samples...)) }

func TestAIFFIsProvedByItsSamples(t *testing.T) {
	samples := sine(4000)
	for name, test := range map[string]struct {
		b     []byte
		codec string
	}{
		"8 bits":        {form("AIFF", comm(8, ""), sound(samples)), "pcm_s8"},
		"16 bits":       {form("AIFF", comm(16, ""), sound(samples)), "pcm_s16be"},
		"24 bits":       {form("AIFF", iff("NAME", []byte("a call")), comm(24, ""), sound(samples)), "pcm_s24be"},
		"little-endian": {form("AIFC", comm(16, "sowt\x00\x00"), sound(samples)), "pcm_s16le"},
		"uncompressed":  {form("AIFC", comm(16, "NONE\x00\x00"), sound(samples)), "pcm_s16be"},
		"µ-law":         {form("AIFC", comm(16, "ulaw\x00\x00"), sound(samples)), "pcm_mulaw"},
	} {
		f, err := identify(t, test.b)
		if err != nil || f.Codec != test.codec || f.SampleRate != 8000 || f.Channels != 1 {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestAIFFWithoutAProofIsRefused(t *testing.T) {
	samples := sine(4000)
	for name, test := range map[string]struct {
		b    []byte
		want error
	}{
		"nothing recorded":      {form("AIFF", comm(16, ""), sound(nil)), ErrEmpty},
		"header alone":          {form("AIFF", comm(16, "")), ErrEmpty},
		"enciphered samples":    {form("AIFF", comm(16, ""), sound(randomBytes(8<<10))), ErrEncrypted},
		"samples before format": {form("AIFF", sound(samples), comm(16, "")), ErrUnrecognized},
		"unknown compression":   {form("AIFC", comm(16, "what\x00\x00"), sound(samples)), ErrUnrecognized},
		"no bits":               {form("AIFF", comm(0, ""), sound(samples)), ErrUnrecognized},
		"64 bits":               {form("AIFF", comm(64, ""), sound(samples)), ErrUnrecognized},
	} {
		if f, err := identify(t, test.b); !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func riffList(kind string, chunks ...[]byte) []byte {
	return chunkOf("LIST", append([]byte(kind), bytes.Join(chunks, nil)...))
}

func avi(chunks ...[]byte) []byte {
	b := wav("RIFF", chunks...)
	copy(b[8:], "AVI ")
	return b
}

func TestAVIIsProvedByHeaderAndMedia(t *testing.T) {
	strl := func(kind string, format []byte) []byte {
		return riffList("strl", chunkOf("strh", append([]byte(kind), make([]byte, 52)...)), chunkOf("strf", format))
	}
	audio := strl("auds", waveFmt(0x55, 1, 22050, 1, 0))
	video := strl("vids", append([]byte{40}, make([]byte, 39)...))
	movi := riffList("movi", chunkOf("01wb", make([]byte, 10)))
	for name, test := range map[string]struct {
		b     []byte
		codec string
		want  error
	}{
		"sound":             {avi(riffList("hdrl", audio), movi), "mp3", nil},
		"picture and sound": {avi(riffList("hdrl", video, audio), chunkOf("JUNK", make([]byte, 40<<10)), movi), "mp3", nil},
		"padded media":      {avi(riffList("hdrl", audio), riffList("movi", chunkOf("JUNK", nil), chunkOf("00dc", nil))), "mp3", nil},
		"no streams":        {avi(riffList("hdrl"), movi), "", ErrUnrecognized},
		"no media":          {avi(riffList("hdrl", audio)), "", ErrEmpty},
		"empty media":       {avi(riffList("hdrl", audio), riffList("movi")), "", ErrEmpty},
		"random media":      {avi(riffList("hdrl", audio), riffList("movi", randomBytes(1000))), "", ErrUnrecognized},
		"bad picture":       {avi(riffList("hdrl", strl("vids", make([]byte, 40))), movi), "", ErrUnrecognized},
		"bad sound":         {avi(riffList("hdrl", strl("auds", make([]byte, 18))), movi), "", ErrUnrecognized},
		"no format":         {avi(riffList("hdrl", riffList("strl")), movi), "", ErrUnrecognized},
	} {
		f, err := identify(t, test.b)
		if !errors.Is(err, test.want) || f.Codec != test.codec {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestASFWithRightsManagementIsEncrypted(t *testing.T) {
	b := sample(t, "asf.wma")
	for _, id := range []string{asfCipher, asfCipher2, asfCipher3} {
		object := append([]byte(id), 24, 0, 0, 0, 0, 0, 0, 0)
		protected := slices.Concat(b[:asfHeadSize], object, b[asfHeadSize:])
		binary.LittleEndian.PutUint64(protected[16:], binary.LittleEndian.Uint64(b[16:])+24)
		if f, err := identify(t, protected); !errors.Is(err, ErrEncrypted) {
			t.Errorf("%x: %+v, %v", id, f, err)
		}
	}
}

func TestASFNeedsDataBehindItsHeader(t *testing.T) {
	b := sample(t, "asf.wma")
	n := binary.LittleEndian.Uint64(b[16:])
	for _, end := range []uint64{n, n + asfDataSize} { // without packets, too
		if _, err := identify(t, b[:end]); !errors.Is(err, ErrEmpty) {
			t.Errorf("cut at %d: %v", end, err)
		}
	}
	if f, err := identify(t, append(b[:n:n], randomBytes(1000)...)); !errors.Is(err, ErrUnrecognized) {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestMPEGTSOfBluRayIsProved(t *testing.T) {
	var stamped []byte
	for packet := range slices.Chunk(sample(t, "ts.ts"), tsPacket) {
		stamped = append(append(stamped, 0, 1, 2, 3), packet...)
	}
	if f, err := identify(t, stamped); err != nil || f.Codec != "aac" {
		t.Fatalf("%+v, %v", f, err)
	}
}

func TestMPEGTSRefusesTooFewOrScrambledPackets(t *testing.T) {
	b := slices.Clone(sample(t, "ts.ts"))
	if _, err := identify(t, b[:4*tsPacket]); !errors.Is(err, ErrUnrecognized) {
		t.Error(err)
	}
	b[5*tsPacket+3] |= 0x80
	if _, err := identify(t, b); !errors.Is(err, ErrEncrypted) {
		t.Error(err)
	}
}
