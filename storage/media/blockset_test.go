package media

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// What a set returns is what a map would, whatever it was used for before.
func TestABlockSetKeepsTheFirstOfEachBlock(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var set blockSet
	for range 500 {
		width, block := 1, 16
		if random.IntN(2) == 0 {
			width, block = 3, 48
		}
		kinds := 1 + random.IntN(200)
		var b, want []byte
		seen := make(map[int]bool)
		for range random.IntN(2000) {
			kind := random.IntN(kinds)
			piece := bytes.Repeat([]byte{byte(kind), byte(kind >> 8), 7, 9}, block/4)
			if b = append(b, piece...); !seen[kind] {
				want = append(want, piece...)
			}
			seen[kind] = true
		}
		b = append(b, make([]byte, random.IntN(block))...) // no block
		if got := set.distinct(b, width); !bytes.Equal(got, want) {
			t.Fatalf("%d bytes of %d kinds of blocks: got %d, want %d", len(b), kinds, len(got), len(want))
		}
	}
}

func BenchmarkIdentifyWAV(b *testing.B) {
	recording := wav("RIFF", chunkOf("fmt ", pcm16), chunkOf("data", sine(64<<10)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Identify(bytes.NewReader(recording), int64(len(recording))); err != nil {
			b.Fatal(err)
		}
	}
}
