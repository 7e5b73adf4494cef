package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

// box returns an MP4 box around parts.
func box(id string, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(append(b, id...), body...)
}

// numbers returns 32-bit fields.
func numbers(all ...int) []byte {
	var b []byte
	for _, n := range all {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	return b
}

// samplesAt returns sample tables with one chunk at off.
func samplesAt(off int, sizes ...int) []byte {
	return slices.Concat(
		box("stts", make([]byte, 8)),
		box("stsc", numbers(0, 1, 1, len(sizes), 1)),
		box("stsz", numbers(0, 0, len(sizes)), numbers(sizes...)),
		box("stco", numbers(0, 1, off)))
}

// Where the body of a box is that follows ftyp, and the sample there by trak.
const (
	mediaAt    = 28
	sampleSize = 100
)

// trak returns a track with one sample entry and one sample.
func trak(handler, entry string, details ...[]byte) []byte {
	return trakOf(samplesAt(mediaAt, sampleSize), handler, entry, details...)
}

func trakOf(tables []byte, handler, entry string, details ...[]byte) []byte {
	fields := make([]byte, 28)
	if handler == "vide" {
		fields = make([]byte, 78)
	}
	fields[17], fields[19] = 1, 16
	binary.BigEndian.PutUint32(fields[24:], 8000<<16)
	stsd := box("stsd", numbers(0, 1), box(entry, append([][]byte{fields}, details...)...))
	hdlr := box("hdlr", make([]byte, 8), []byte(handler), make([]byte, 13))
	return box("trak", box("tkhd", numbers(0, 0, 0, 1), make([]byte, 68)), box("mdia", hdlr, box("minf", box("stbl", stsd, tables))))
}

func ftyp(brand string) []byte {
	return box("ftyp", []byte(brand), []byte{0, 0, 2, 0}, []byte("isom"))
}

// mp4 returns a file whose index follows its media data.
func mp4(brand string, data []byte, tracks ...[]byte) []byte {
	return slices.Concat(ftyp(brand), box("mdat", data), box("moov", tracks...))
}

// nal returns a NAL unit of n zeros with its length, of 4 bytes, before it.
func nal(n int) []byte { return append(numbers(n), make([]byte, n)...) }

func TestMP4IsProvedByItsIndexAndFirstSamples(t *testing.T) {
	sound, picture := trak("soun", "mp4a"), trak("vide", "avc1")
	data, h263 := nal(sampleSize-4), append([]byte("\x00\x00\x80"), make([]byte, 200)...)
	late := box("moov", trakOf(samplesAt(mediaAt+len(box("moov", sound)), 100), "soun", "mp4a"))
	wide := append([]byte("\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x01\x00\x10"), make([]byte, 64<<10)...)
	for name, test := range map[string]struct {
		b         []byte
		typ, code string
	}{
		"index last":         {mp4("M4A ", make([]byte, 400<<10), sound), "audio/mp4", "aac"},
		"index first":        {slices.Concat(ftyp("M4A "), late, box("mdat", make([]byte, 400<<10))), "audio/mp4", "aac"},
		"64-bit box":         {slices.Concat(ftyp("isom"), wide, box("moov", trakOf(samplesAt(mediaAt+8, 1), "soun", "mp4a"))), "audio/mp4", "aac"},
		"picture and sound":  {mp4("isom", data, picture, sound), "video/mp4", "aac"},
		"picture":            {mp4("isom", data, picture), "video/mp4", "h264"},
		"other tracks":       {mp4("isom", data, trakOf(nil, "hint", "rtp "), sound), "audio/mp4", "aac"},
		"a track of nothing": {mp4("isom", data, trakOf(samplesAt(0), "vide", "avc1"), sound), "video/mp4", "aac"},
		"3GP":                {mp4("3gp4", make([]byte, 200), trak("soun", "samr")), "audio/3gpp", "amr_nb"},
		"3GP with a picture": {mp4("3gp4", h263, trak("soun", "samr"), trak("vide", "s263")), "video/3gpp", "amr_nb"},
		"QuickTime":          {mp4("qt  ", make([]byte, 200), trak("soun", "ulaw")), "video/quicktime", "pcm_mulaw"},
	} {
		f, err := identify(t, test.b)
		if err != nil || f.Type != test.typ || f.Codec != test.code || f.Container != "mp4" {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestMP4WithEncryptedTracksIsEncrypted(t *testing.T) {
	for name, moov := range map[string][]byte{
		"sound":            box("moov", trak("soun", "enca")),
		"picture":          box("moov", trak("soun", "mp4a"), trak("vide", "encv")),
		"protection first": box("moov", box("pssh", make([]byte, 24)), trak("soun", "mp4a")),
		"FairPlay":         box("moov", trak("soun", "drms")),
	} {
		if f, err := identify(t, append(ftyp("isom"), moov...)); !errors.Is(err, ErrEncrypted) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestMP4WithoutAProofIsRefused(t *testing.T) {
	sound := trak("soun", "mp4a")
	for name, b := range map[string][]byte{
		"not finished":       append(ftyp("isom"), box("mdat", make([]byte, 1000))...),
		"file type alone":    ftyp("isom"),
		"too many boxes":     slices.Concat(ftyp("isom"), bytes.Repeat(box("free", make([]byte, 3000)), 100), box("moov", sound)),
		"no tracks":          append(ftyp("isom"), box("moov")...),
		"unknown codec":      append(ftyp("isom"), box("moov", trak("soun", "what"))...),
		"no handler":         append(ftyp("isom"), box("moov", box("trak", box("mdia")))...),
		"box beyond its own": append(ftyp("isom"), box("moov", sound[:100])...),
		"empty stsd": append(ftyp("isom"), box("moov", box("trak", box("mdia",
			box("hdlr", make([]byte, 8), []byte("soun")), box("minf", box("stbl", box("stsd"))))))...),
	} {
		if f, err := identify(t, b); !errors.Is(err, ErrUnrecognized) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestMP4SoundDetails(t *testing.T) {
	// AudioSpecificConfig: AAC LC, 44.1 kHz, 2 channels; then 128 kbit/s MP3.
	aac := box("esds", make([]byte, 4), []byte("\x03\x19\x00\x01\x00\x04\x11\x40\x15\x00\x00\x00\x00\x01\xF4\x00\x00\x00\xFA\x00\x05\x02\x12\x10"))
	mp3 := box("esds", make([]byte, 4), []byte("\x03\x80\x80\x80\x15\x00\x01\x00\x04\x0D\x6B\x15\x00\x00\x00\x00\x01\xF4\x00\x00\x01\xF4\x00"))
	for name, test := range map[string]struct {
		entry []byte
		want  Format
	}{
		"AAC":      {trak("soun", "mp4a", aac), Format{Codec: "aac", SampleRate: 44100, Channels: 2, BitRate: 64000}},
		"MP3":      {trak("soun", "mp4a", mp3), Format{Codec: "mp3", SampleRate: 8000, Channels: 1, BitRate: 128000}},
		"cut":      {trak("soun", "mp4a", aac[:14]), Format{Codec: "aac", SampleRate: 8000, Channels: 1}},
		"nothing":  {trak("soun", "mp4a"), Format{Codec: "aac", SampleRate: 8000, Channels: 1}},
		"in waves": {trak("soun", "mp4a", make([]byte, 16), box("wave", aac)), Format{Codec: "aac", SampleRate: 44100, Channels: 2, BitRate: 64000}},
	} {
		data := make([]byte, sampleSize) // one frame of AAC for all that the check knows
		if test.want.Codec == "mp3" {
			copy(data, recorder16)
		}
		f, err := identify(t, mp4("M4A ", data, test.entry))
		test.want.Type, test.want.Ext, test.want.Container, test.want.BrowserPlays = "audio/mp4", "m4a", "mp4", true
		if err != nil || f != test.want {
			t.Errorf("%s: got %+v, %v, want %+v", name, f, err, test.want)
		}
	}
}
