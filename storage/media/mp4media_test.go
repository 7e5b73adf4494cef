package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
)

// encipher replaces what the mdat boxes of an MP4 contain.
func encipher(t *testing.T, b []byte) []byte {
	t.Helper()
	b = bytes.Clone(b)
	for c, err := range mustWindow(t, b).boxes(0, int64(len(b))) {
		if err != nil {
			t.Fatal(err)
		}
		if c.id == "mdat" {
			copy(b[c.off:c.off+c.size], randomBytes(int(c.size)))
		}
	}
	return b
}

// indexLast moves the media data of an MP4 before its index, past what is
// read from the start.
func indexLast(sample []byte, tracks func(tables []byte) []byte) []byte {
	return slices.Concat(ftyp("isom"), box("free", make([]byte, 200<<10)), box("mdat", sample),
		box("moov", tracks(samplesAt(mediaAt+8+200<<10, len(sample)))))
}

func TestMP4WithAPlainIndexAndEncipheredMediaDataIsRefused(t *testing.T) {
	avc := func(tables []byte) []byte { return trakOf(tables, "vide", "avc1") }
	far := indexLast(nal(5000), avc)
	if _, err := identify(t, far); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"H.264, index last":     sample(t, "h264.mp4"),
		"H.264, index far away": far,
		"fragmented":            sample(t, "fragmented.mp4"),
		"ALAC":                  sample(t, "alac.m4a"),
	} {
		if f, err := identify(t, encipher(t, b)); !errors.Is(err, ErrUnrecognized) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestMP4WithoutItsMediaDataIsRefused(t *testing.T) {
	sound := trak("soun", "mp4a")
	data := make([]byte, 200)
	whole := slices.Concat(ftyp("isom"), box("moov", trakOf(samplesAt(2000, 100), "soun", "mp4a")), box("free", make([]byte, 2000)), box("mdat", make([]byte, 2000)))
	at := bytes.LastIndex(whole, []byte("mdat")) - 4
	fragmented := sample(t, "fragmented.mp4")
	init, moof := bytes.Index(fragmented, []byte("moof"))-4, bytes.Index(fragmented, []byte("mdat"))-4
	for name, test := range map[string]struct {
		b    []byte
		want error
	}{
		"cut before it":                     {whole[:at], ErrUnrecognized},
		"elsewhere":                         {whole, ErrUnrecognized},
		"before it":                         {slices.Concat(ftyp("isom"), box("moov", sound), box("mdat", data)), ErrUnrecognized},
		"cut within the first sample":       {append(ftyp("isom"), box("mdat", data[:sampleSize-1])...), ErrUnrecognized},
		"first sample longer than it":       {mp4("isom", data[:sampleSize-1], sound), ErrUnrecognized},
		"far beyond the end":                {mp4("isom", data, trakOf(wideTables(1<<63-50), "soun", "mp4a")), ErrUnrecognized},
		"of one track only":                 {mp4("isom", data, sound, trakOf(samplesAt(5000, 1), "vide", "avc1")), ErrUnrecognized},
		"samples without a chunk":           {mp4("isom", data, trakOf(box("stsz", numbers(0, 1, 1)), "soun", "mp4a")), ErrUnrecognized},
		"samples without sizes":             {mp4("isom", data, trakOf(box("stz2", numbers(0, 5, 1)), "soun", "mp4a")), ErrUnrecognized},
		"a cut table":                       {mp4("isom", data, trakOf(box("stsz", numbers(0, 0, 2, 1)), "soun", "mp4a")), ErrUnrecognized},
		"nothing recorded":                  {mp4("isom", data, trakOf(samplesAt(0), "soun", "mp4a")), ErrEmpty},
		"nothing recorded, no data":         {append(ftyp("isom"), box("moov", trakOf(nil, "soun", "mp4a"))...), ErrEmpty},
		"fragments to come":                 {fragmented[:init], ErrEmpty},
		"a fragment without its media data": {fragmented[:moof], ErrUnrecognized},
	} {
		if f, err := identify(t, test.b); !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

// wideTables are samplesAt with a 64-bit place.
func wideTables(off uint64) []byte {
	return slices.Concat(box("stsz", numbers(0, sampleSize, 3)), box("stsc", numbers(0, 1, 1, 3, 1)),
		box("co64", numbers(0, 1), binary.BigEndian.AppendUint64(nil, off)))
}

func TestMP4SampleTablesOfEveryKind(t *testing.T) {
	chunk := slices.Concat(box("stsc", numbers(0, 1, 1, 3, 1)), box("stco", numbers(0, 1, mediaAt)))
	data := append(nal(11), nal(196)...)
	for name, tables := range map[string][]byte{
		"64-bit places":      wideTables(mediaAt + 15),
		"one size for all":   append(box("stsz", numbers(0, 15, 3)), chunk...),
		"a size each":        append(box("stsz", numbers(0, 0, 3, 15, 20, 20)), chunk...),
		"4-bit sizes":        append(box("stz2", numbers(0, 4, 3), []byte("\xF1\x20")), chunk...),
		"8-bit sizes":        append(box("stz2", numbers(0, 8, 3), []byte("\x0F\x01\x02")), chunk...),
		"16-bit sizes":       append(box("stz2", numbers(0, 16, 3), []byte("\x00\x0F\x00\x01\x00\x02")), chunk...),
		"a chunk per sample": slices.Concat(box("stsz", numbers(0, 15, 3)), box("stco", numbers(0, 1, mediaAt))),
		"an empty sample":    append(box("stsz", numbers(0, 0, 3, 0, 15, 1)), chunk...),
	} {
		if name == "64-bit places" { // whose samples are of 100 bytes
			data = append(nal(11), nal(96)...)
		}
		if f, err := identify(t, mp4("isom", append(data, make([]byte, 300)...), trakOf(tables, "vide", "avc1"))); err != nil {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

// TestMP4NeedsFewReadsOfALongRecording has the boxes of the index as far apart
// as an hour of sound and picture puts them.
func TestMP4NeedsFewReadsOfALongRecording(t *testing.T) {
	const samples = 150_000
	tables := slices.Concat(
		box("ctts", make([]byte, 8*samples)),
		box("stsz", numbers(0, 0, samples, sampleSize), make([]byte, 4*samples)),
		box("stco", numbers(0, samples, mediaAt), make([]byte, 4*samples)))
	b := mp4("isom", append(nal(sampleSize-4), make([]byte, 1<<20)...), trakOf(tables, "vide", "avc1"), trakOf(tables, "soun", "mp4a"))
	r := newBounded(b)
	if _, err := Identify(r, r.size); err != nil || r.reads > 16 || r.read > 80<<10 {
		t.Fatalf("%d reads of %d bytes, %v", r.reads, r.read, err)
	}
}

func TestMP4ReturnsReadErrorsOfFarPlaces(t *testing.T) {
	b := indexLast(nal(5000), func(tables []byte) []byte { return trakOf(tables, "vide", "avc1") })
	for _, from := range []int64{100 << 10, 206_000} {
		r := brokenFrom{bytes.NewReader(b), from}
		if _, err := Identify(r, int64(len(b))); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("from %d on: %v", from, err)
		}
	}
}

// brokenFrom fails to read from a place on.
type brokenFrom struct {
	r    io.ReaderAt
	from int64
}

func (b brokenFrom) ReadAt(p []byte, off int64) (int, error) {
	if off >= b.from {
		return 0, io.ErrClosedPipe
	}
	return b.r.ReadAt(p, off)
}
