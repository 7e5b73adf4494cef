package media

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

func TestADTSNeedsAChain(t *testing.T) {
	b := sample(t, "adts.aac")
	first, _ := parseADTS(b)
	second, _ := parseADTS(b[first.length:])
	two := first.length + second.length
	for name, test := range map[string]struct {
		b    []byte
		want error
	}{
		"three frames, the last cut": {b[:two+7], nil},
		"two frames to the end":      {b[:two], nil},
		"one frame":                  {b[:first.length], ErrUnrecognized},
		"two and something":          {append(b[:two:two], "something"...), ErrUnrecognized},
	} {
		if f, err := identify(t, test.b); !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestAMRNeedsFramesThroughout(t *testing.T) {
	const silence = "\x4C\x01\x02\x03\x04\x05" // AMR-WB, comfort noise
	nb := sample(t, "amr.amr")
	for name, test := range map[string]struct {
		b    []byte
		want error
	}{
		"wide band":          {[]byte("#!AMR-WB\n" + silence + "\x7C" + silence), nil},
		"last frame cut":     {nb[:len(nb)-3], nil},
		"magic alone":        {nb[:6], ErrEmpty},
		"several channels":   {[]byte("#!AMR_MC1.0\n\x00\x00\x00\x01"), ErrUnrecognized},
		"padding bits set":   {[]byte("#!AMR\n\x05"), ErrUnrecognized},
		"reserved type":      {[]byte("#!AMR\n\x64"), ErrUnrecognized},
		"enciphered payload": {append(nb[:6:6], randomBytes(1000)...), ErrUnrecognized},
	} {
		if f, err := identify(t, test.b); !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestFLACWalksItsMetadata(t *testing.T) {
	b := sample(t, "flac.flac")
	const streamInfoEnd = 4 + 4 + 34
	picture := append([]byte{6, 4, 0, 0}, make([]byte, 256<<10)...)
	small := bytes.Repeat([]byte{1, 0, 0, 0}, 70)
	frames, err := skipFLACMetadata(mustWindow(t, b), 4)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		b    []byte
		want error
	}{
		"picture of 256 KiB": {slices.Concat(b[:streamInfoEnd], picture, b[streamInfoEnd:]), nil},
		"too many blocks":    {slices.Concat(b[:streamInfoEnd], small, b[streamInfoEnd:]), ErrUnrecognized},
		"forbidden block":    {slices.Concat(b[:streamInfoEnd], []byte{0xFF, 0, 0, 0}), ErrUnrecognized},
		"metadata alone":     {b[:frames], ErrEmpty},
		"random frames":      {append(b[:frames:frames], randomBytes(4096)...), ErrUnrecognized},
		"no sample rate":     {slices.Concat(b[:18], []byte{0, 0, 0}, b[21:]), ErrUnrecognized},
	} {
		if f, err := identify(t, test.b); !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestFLACFrameNumbersOfEveryLengthAreSkipped(t *testing.T) {
	for first, want := range map[byte]int{0x00: 1, 0x7F: 1, 0xC2: 2, 0xE1: 3, 0xF0: 4, 0xF8: 5, 0xFC: 6, 0xFE: 7} {
		if got := codedLength(first); got != want {
			t.Errorf("%#x: %d, want %d", first, got, want)
		}
	}
}

func mustWindow(t *testing.T, b []byte) *window {
	t.Helper()
	w, err := newWindow(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return w
}
