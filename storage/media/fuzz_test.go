package media

import (
	"bytes"
	"testing"
)

// FuzzIdentify holds Identify to its contract for any bytes: it does not panic,
// reads within its bounds, answers the same twice, and gives a type or an error.
// Zeros stretch the input, so that what names a far place can find it.
func FuzzIdentify(f *testing.F) {
	for _, name := range sampleNames(f) {
		f.Add(sample(f, name), uint32(0))
	}
	f.Add(wav("RIFF", chunkOf("fmt ", pcm16), chunkOf("data", sine(100))), uint32(1<<20))
	f.Add(form("AIFF", comm(16, ""), sound(sine(100))), uint32(0))
	f.Add(append(ftyp("isom"), box("moov", trak("soun", "enca"))...), uint32(100))
	f.Add(mp4("isom", nal(96), trak("vide", "avc1"), trakOf(wideTables(mediaAt), "soun", "sowt")), uint32(0))
	f.Add(fragmentedFile(20, fragment(numbers(0x020000, 1), numbers(1, 1, 76), nal(16))), uint32(0))
	f.Add([]byte("\x8C\x0D\x04\x09\x03\x08123456789\xD2\xE9\x01"), uint32(1000))
	f.Add([]byte("-----BEGIN CMS-----\nMIIQAA=="), uint32(0))
	f.Fuzz(func(t *testing.T, b []byte, zeros uint32) {
		b = append(bytes.Clone(b), make([]byte, zeros%(1<<20))...)
		first, err := identify(t, b)
		if err != nil && !isVerdict(err) {
			t.Fatal(err)
		}
		second, again := identify(t, b)
		if first != second || (err == nil) != (again == nil) || err != nil && err.Error() != again.Error() {
			t.Fatalf("%+v, %v, then %+v, %v", first, err, second, again)
		}
	})
}
