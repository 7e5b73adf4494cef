package media

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestNALChain(t *testing.T) {
	two := slices.Clip(append(nal(5), nal(9)...))
	long := append(nal(3), nal(100_000)...)
	for name, test := range map[string]struct {
		b      []byte
		size   int
		prefix int
		want   bool
	}{
		"two units":            {two, len(two), 4, true},
		"one byte of length":   {[]byte("\x01\x67\x02\x68\x00"), 5, 1, true},
		"two bytes of length":  {[]byte("\x00\x01\x67\x00\x02\x68\x00"), 7, 2, true},
		"padded with zeros":    {append(two, 0, 0, 0), len(two) + 3, 4, true},
		"zeros between":        {slices.Concat(nal(5), nal(0), nal(9)), 26, 4, true},
		"out of reach":         {long[:1000], len(long), 4, true},
		"start codes":          {[]byte("\x00\x00\x00\x01\x67\x42\x00"), 7, 4, true},
		"length out of reach":  {append(nal(3), 0, 0), len(long), 4, true},
		"forbidden bit":        {[]byte("\x00\x00\x00\x02\x80\x00"), 6, 4, false},
		"second forbidden bit": {append(nal(5), "\x00\x00\x00\x02\x80\x00"...), 15, 4, false},
		"longer than it is":    {two, len(two) - 1, 4, false},
		"something after":      {append(two, 1, 2), len(two) + 2, 4, false},
		"zeros alone":          {make([]byte, 64), 64, 4, false},
		"nothing":              {nil, 0, 4, false},
	} {
		if got := isNALChain(test.b, int64(test.size), test.prefix); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// TestRandomBytesAreNoNALChain measures the false acceptances with lengths of
// 4 bytes, which all writers use.
func TestRandomBytesAreNoNALChain(t *testing.T) {
	source := randomBytes(4 << 20)
	rng := rand.New(rand.NewPCG(11, 12))
	for range 500_000 {
		n := 1 + rng.IntN(8<<10)
		off := rng.IntN(len(source) - n)
		if isNALChain(source[off:off+n], int64(n), 4) {
			t.Fatalf("% x… passes", source[off:off+min(n, 16)])
		}
	}
}

func TestNALPrefixIsReadFromTheConfiguration(t *testing.T) {
	avc := box("avcC", []byte("\x01\x42\x00\x0A\xFD\xE0"))
	hevc := box("hvcC", make([]byte, 21), []byte{0xFC})
	for name, test := range map[string]struct {
		b    []byte
		want int
	}{
		"avcC":    {append(make([]byte, 78), avc...), 2},
		"hvcC":    {append(make([]byte, 78), hevc...), 1},
		"neither": {make([]byte, 78), 4},
		"cut":     {bytes.Clone(avc[:10]), 4},
	} {
		if got := mp4NALPrefix(test.b); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}
