package main

import (
	"bytes"
	"testing"

	"storagesrv/storage/media"
)

func TestRecordingsAreMedia(t *testing.T) {
	for _, size := range []int64{256, 1 << 20, 3<<20 + 2} {
		b := wavOf(t, size, 1)
		format, err := media.Identify(bytes.NewReader(b), size)
		if err != nil || format.Type != "audio/wav" || int64(len(b)) != size {
			t.Errorf("%d bytes of %d: %+v, %v", len(b), size, format, err)
		}
	}
}

// Or else bytes from a wrong place would pass for the right ones.
func TestRecordingsDoNotRepeat(t *testing.T) {
	const block = 4 << 10
	seen := make(map[string]bool)
	for seed := range uint64(2) {
		for b := wavOf(t, 4<<20, seed)[44:]; len(b) >= block; b = b[block:] {
			if seen[string(b[:block])] {
				t.Fatal("the same block twice")
			}
			seen[string(b[:block])] = true
		}
	}
}

func wavOf(t *testing.T, size int64, seed uint64) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := writeWAV(&b, size, seed); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
