package media

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// linear16 turns a signal between -1 and 1 into samples, clipped.
func linear16(n int, signal func(i int) float64) []byte {
	b := make([]byte, 0, 2*n)
	for i := range n {
		v := math.Round(max(-1, min(1, signal(i))) * 32767)
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(v)))
	}
	return b
}

// narrow turns 16-bit samples into 8-bit ones.
func narrow(b []byte, code func(int16) byte) []byte {
	out := make([]byte, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		out = append(out, code(int16(binary.LittleEndian.Uint16(b))))
	}
	return out
}

func unsigned8(v int16) byte { return byte(v>>8) ^ 0x80 }

// mulaw codes by ITU-T G.711.
func mulaw(v int16) byte {
	sign, m := byte(0), int(v)
	if m < 0 {
		sign, m = 0x80, -m
	}
	m = min(m, 32635) + 132
	exponent := 7
	for exponent > 0 && m < 1<<(exponent+7) {
		exponent--
	}
	return ^(sign | byte(exponent)<<4 | byte(m>>(exponent+3))&0x0F)
}

// signals are legitimate, and as near to uniform as recordings come.
func signals(rng *rand.Rand) map[string]func(i int) float64 {
	gauss := func(level float64) func(int) float64 {
		return func(int) float64 { return level * rng.NormFloat64() }
	}
	laplace := func(level float64) func(int) float64 { // speech's distribution
		return func(int) float64 { return level * math.Copysign(rng.ExpFloat64(), rng.Float64()-0.5) }
	}
	saw := func(hz float64) func(int) float64 {
		return func(i int) float64 { return 2*math.Mod(float64(i)*hz/8000, 1) - 1 }
	}
	return map[string]func(i int) float64{
		"silence":                 func(int) float64 { return 0 },
		"noise -60 dB":            gauss(0.001),
		"noise -30 dB":            gauss(0.03),
		"noise -20 dB":            gauss(0.1),
		"noise -12 dB":            gauss(0.25),
		"speech -30 dB":           laplace(0.03),
		"speech -20 dB":           laplace(0.1),
		"speech -10 dB":           laplace(0.3),
		"evenly distributed -2dB": func(int) float64 { return 0.8 * (2*rng.Float64() - 1) },
		"full-scale sawtooth":     saw(317.3),
		"sawtooth, no lag-1 corr": saw(0.2113 * 8000),
		"full-scale triangle":     func(i int) float64 { return 2*math.Abs(saw(211.7)(i)) - 1 },
		"full-scale tone":         func(i int) float64 { return math.Sin(float64(i) * 0.3451) },
	}
}

// TestLegitimateSamplesAreNotUniform measures the false refusals: none of
// these signals at the two lengths that matter, as 16-bit, 8-bit or µ-law.
func TestLegitimateSamplesAreNotUniform(t *testing.T) {
	all := signals(rand.New(rand.NewPCG(5, 6)))
	for _, name := range slices.Sorted(maps.Keys(all)) { // they share the random numbers
		for _, c := range []struct{ count, trials int }{{minSamples, 40}, {headBytes / 2, 2}} {
			wrong := map[string]int{}
			for range c.trials {
				b := linear16(c.count, all[name])
				for coding, s := range map[string]samples{
					"16-bit": {b, 2, 1, 1, minSamples},
					"8-bit":  {narrow(b, unsigned8), 1, 0, 1, minSamples},
					"µ-law":  {narrow(b, mulaw), 1, 0, 1, minSamples},
				} {
					if s.uniform() {
						wrong[coding]++
					}
				}
			}
			if len(wrong) > 0 {
				t.Errorf("%d samples of %s refused in %d trials: %v", c.count, name, c.trials, wrong)
			}
		}
	}
}

// TestCiphertextIsUniform measures the false acceptances: none, at the least
// number of samples and at 32 KiB.
func TestCiphertextIsUniform(t *testing.T) {
	source := randomBytes(4 << 20)
	rng := rand.New(rand.NewPCG(7, 8))
	for width := 1; width <= 4; width++ {
		for _, c := range []struct{ n, trials int }{{minSamples * width, 1000}, {headBytes, 50}} {
			for range c.trials {
				off := rng.IntN(len(source) - c.n - 48)
				s := samples{source[off : off+c.n+48], width, width - 1, 1, minSamples}
				if !s.uniform() {
					t.Fatalf("%d bytes of ciphertext as samples of %d bytes pass", c.n, width)
				}
			}
		}
	}
}

func TestWAVHeaderBeforeEncipheredSamplesIsEncrypted(t *testing.T) {
	block, err := aes.NewCipher([]byte("sixteen byte key"))
	if err != nil {
		t.Fatal(err)
	}
	plain := linear16(16<<10, signals(rand.New(rand.NewPCG(9, 10)))["speech -20 dB"])
	copy(plain[4<<10:], make([]byte, 8<<10)) // a pause
	ctr, ecb := make([]byte, len(plain)), make([]byte, len(plain))
	cipher.NewCTR(block, make([]byte, 16)).XORKeyStream(ctr, plain)
	for i := 0; i < len(plain); i += 16 {
		block.Encrypt(ecb[i:], plain[i:])
	}
	for mode, b := range map[string][]byte{"CTR": ctr, "ECB": ecb} {
		for name, format := range map[string][]byte{
			"8-bit": waveFmt(1, 1, 8000, 1, 8), "16-bit": pcm16, "stereo": waveFmt(1, 2, 8000, 4, 16),
			"24-bit": waveFmt(1, 1, 8000, 3, 24), "float": waveFmt(3, 1, 8000, 4, 32),
			"A-law": waveFmt(6, 1, 8000, 1, 8), "µ-law": waveFmt(7, 1, 8000, 1, 8), "GSM": waveFmt(0x31, 1, 8000, 65, 0),
		} {
			_, err := identify(t, wav("RIFF", chunkOf("fmt ", format), chunkOf("data", b)))
			var encrypted *EncryptedError
			if !errors.As(err, &encrypted) || encrypted.Scheme != "samples" {
				t.Errorf("%s of %s: %v", mode, name, err)
			}
		}
	}
}
