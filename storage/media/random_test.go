package media

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// randomBytes returns n bytes, the same ones in every run.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
}

// TestIdentifyRefusesRandomBytes is what raw ciphertext looks like.
func TestIdentifyRefusesRandomBytes(t *testing.T) {
	const trials = 150_000
	source := randomBytes(4 << 20)
	rng := rand.New(rand.NewPCG(1, 2))
	for range trials {
		n := 1 + rng.IntN(2<<10)
		off := rng.IntN(len(source) - n)
		b := source[off : off+n]
		f, err := Identify(bytes.NewReader(b), int64(n))
		if !errors.Is(err, ErrUnrecognized) {
			t.Fatalf("% x… taken for %+v, %v", b[:min(n, 16)], f, err)
		}
	}
}

// TestIdentifyRefusesRandomBytesThatStartLikeFrames puts a valid frame header
// before every trial: only what chains is to be believed.
func TestIdentifyRefusesRandomBytesThatStartLikeFrames(t *testing.T) {
	const trials = 25_000
	source := randomBytes(4 << 20)
	rng := rand.New(rand.NewPCG(3, 4))
	for _, header := range []string{"\xFF\xE3\x28\xC4", "\xFF\xFB\x90\x64", "\xFF\xF3\x84\xC4", "\xFF\xF1\x6C\x40\x0D\x5F\xFC"} {
		for range trials {
			n := rng.IntN(2 << 10)
			off := rng.IntN(len(source) - n)
			b := append([]byte(header), source[off:off+n]...)
			if f, err := Identify(bytes.NewReader(b), int64(len(b))); err == nil {
				t.Fatalf("%x before random bytes taken for %+v", header, f)
			}
		}
	}
}
