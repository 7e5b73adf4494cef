package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

// TestFirstSamplesAreOfTheirCodec has one sample of each codec that is
// checked, and random bytes in its place.
func TestFirstSamplesAreOfTheirCodec(t *testing.T) {
	flac := sample(t, "flac.flac")
	at, err := skipFLACMetadata(mustWindow(t, flac), 4)
	if err != nil {
		t.Fatal(err)
	}
	quiet := make([]byte, 8000)
	for name, test := range map[string]struct {
		handler, entry string
		first          []byte
	}{
		"H.264": {"vide", "avc1", nal(500)}, "H.264 with parameter sets": {"vide", "avc3", nal(500)},
		"HEVC": {"vide", "hvc1", nal(500)}, "HEVC with parameter sets": {"vide", "hev1", nal(500)},
		"H.263": {"vide", "s263", []byte("\x00\x00\x80\x02")}, "Motion JPEG": {"vide", "jpeg", []byte("\xFF\xD8\xFF\xE0")},
		"AMR": {"soun", "samr", sample(t, "amr.amr")[6:]}, "AMR-WB": {"soun", "sawb", []byte("\x4C\x01\x02\x03\x04\x05\x7C")},
		"MP3": {"soun", ".mp3", frames(recorder16, 144)}, "FLAC": {"soun", "fLaC", flac[at:]},
		"AC-3": {"soun", "ac-3", []byte("\x0B\x77\x00\x00")}, "E-AC-3": {"soun", "ec-3", []byte("\x0B\x77\x00\x00")},
		"ALAC": {"soun", "alac", []byte("\x00\x00\x00\x00")}, "ALAC, stereo": {"soun", "alac", []byte("\x20\x00\x10\x00")},
		"A-law": {"soun", "alaw", quiet}, "µ-law": {"soun", "ulaw", quiet}, "little-endian": {"soun", "sowt", quiet},
		"big-endian": {"soun", "twos", quiet}, "24-bit": {"soun", "in24", quiet}, "32-bit": {"soun", "in32", quiet},
		"float": {"soun", "fl32", quiet}, "PCM": {"soun", "ipcm", quiet},
	} {
		index := trakOf(samplesAt(mediaAt, 8000), test.handler, test.entry)
		plain := trakOf(samplesAt(mediaAt, len(test.first)), test.handler, test.entry)
		if f, err := identify(t, mp4("isom", test.first, plain)); err != nil {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
		for _, seed := range []int{0, 4000, 8000} {
			data := randomBytes(seed + 8000)[seed:]
			if f, err := identify(t, mp4("isom", data, index)); !errors.Is(err, ErrUnrecognized) && !errors.Is(err, ErrEncrypted) {
				t.Errorf("random bytes as %s: %+v, %v", name, f, err)
			}
		}
	}
}

func TestCodecsWithoutAMarkAreNotChecked(t *testing.T) {
	for _, entry := range []string{"Opus", "ima4", "mp4a"} { // mp4a does not say of what type
		if f, err := identify(t, mp4("isom", randomBytes(4000), trak("soun", entry))); err != nil {
			t.Errorf("%s: %+v, %v", entry, f, err)
		}
	}
}

func TestAACFramesStartWithAnElement(t *testing.T) {
	esds := func(config string) []byte {
		return box("esds", make([]byte, 4), []byte("\x03\x19\x00\x01\x00\x04\x11\x40\x15\x00\x00\x00\x00\x01\xF4\x00\x00\x00\xFA\x00\x05\x02"+config))
	}
	const lc, lowDelay, usac = "\x12\x10", "\xBA\x10", "\xF9\x46" // types 2, 23 and 42
	sizes := slices.Repeat([]int{100}, 40)
	adts := slices.Concat(slices.Repeat([][]byte{append([]byte("\xFF\xF1\x6C\x40\x0C\x80\xFC"), make([]byte, 93)...)}, 40)...)
	for name, test := range map[string]struct {
		config string
		data   []byte
		want   error
	}{
		"LC":               {lc, make([]byte, 4000), nil},
		"fill first":       {lc, bytes.Repeat([]byte("\xDE"), 4000), nil},
		"ADTS headers":     {lc, adts, nil},
		"enciphered":       {lc, randomBytes(4000), ErrUnrecognized},
		"end first":        {lc, bytes.Repeat([]byte("\xE0"), 4000), ErrUnrecognized},
		"coupling first":   {lc, append(make([]byte, 3900), bytes.Repeat([]byte("\x40"), 100)...), ErrUnrecognized},
		"low delay":        {lowDelay, randomBytes(4000), nil},
		"unified speech":   {usac, randomBytes(4000), nil},
		"no configuration": {"", randomBytes(4000), nil},
	} {
		track := trakOf(samplesAt(mediaAt, sizes...), "soun", "mp4a", esds(test.config))
		if f, err := identify(t, mp4("M4A ", test.data, track)); !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

// TestPCMIsJudgedByItsFirstChunk has samples that QuickTime states as of 1 byte.
func TestPCMIsJudgedByItsFirstChunk(t *testing.T) {
	tables := func(perChunk int) []byte {
		return slices.Concat(box("stsz", numbers(0, 1, 5000)), box("stsc", numbers(0, 1, 1, perChunk, 1)), box("stco", numbers(0, 1, mediaAt)))
	}
	tone := linear16(5000, func(i int) float64 { return float64(i%50) / 50 })
	for name, test := range map[string]struct {
		data     []byte
		perChunk int
		want     error
	}{
		"tone":            {tone, 5000, nil},
		"enciphered":      {randomBytes(10000), 5000, ErrEncrypted},
		"a short chunk":   {randomBytes(10000), 500, nil}, // too short to judge
		"then other data": {append(tone[:3000:3000], randomBytes(7000)...), 1500, nil},
	} {
		if f, err := identify(t, mp4("qt  ", test.data, trakOf(tables(test.perChunk), "soun", "sowt"))); !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestPCMWidths(t *testing.T) {
	entry := func(bits byte, more ...byte) []byte { return append(append(make([]byte, 19), bits), more...) }
	wide := entry(16, make([]byte, 32)...)
	binary.BigEndian.PutUint32(wide[48:], 24)
	for name, test := range map[string]struct {
		entry string
		b     []byte
		want  int
	}{
		"8 bits":          {"twos", entry(8), 1},
		"16 bits":         {"sowt", entry(16), 2},
		"QuickTime 2":     {"lpcm", wide, 3},
		"by its box":      {"ipcm", entry(16, []byte("\x00\x00\x00\x0Epcm\x00\x00\x00\x0EpcmC\x00\x00\x00\x00\x01\x18")...), 3},
		"float":           {"fl64", entry(16), 8},
		"not PCM":         {"mp4a", entry(16), 0},
		"of unknown bits": {"ipcm", entry(0), 0},
	} {
		if got := mp4PCMWidth(test.entry, test.b); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

// TestKeyFramesHaveTheirCode leaves out other frames, which VP8 and VP9 mark
// less or not at all.
func TestKeyFramesHaveTheirCode(t *testing.T) {
	for name, test := range map[string]struct {
		b    string
		is   func([]byte) bool
		want bool
	}{
		"VP8, key frame":          {"\x10\x02\x00\x9D\x01\x2A\x20\x00\x20\x00", isVP8, true},
		"VP8, another":            {"\x11\x02\x00\x00", isVP8, true},
		"VP8, key without code":   {"\x10\x02\x00\x9D\x01\x2B\x20\x00", isVP8, false},
		"VP8, nothing":            {"", isVP8, false},
		"VP9, key frame":          {"\x82\x49\x83\x42\x00", isVP9, true},
		"VP9, another":            {"\x86\x00", isVP9, true},
		"VP9, profile 3":          {"\xB0\x24", isVP9, true},
		"VP9, key without code":   {"\x82\x49\x83\x43\x00", isVP9, false},
		"VP9, without its marker": {"\x42\x49\x83\x42\x00", isVP9, false},
		"VP9, nothing":            {"", isVP9, false},
	} {
		if got := test.is([]byte(test.b)); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
