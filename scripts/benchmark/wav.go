package main

import (
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"
)

// writeWAV writes a recording of size bytes, which is even: a tone and a hiss
// as 16-bit PCM, 8 kHz, one channel. No two places of it are alike, nor are
// those of two seeds, so bytes from a wrong place can be told.
func writeWAV(w io.Writer, size int64, seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 1))
	block := wavHeader(size)
	for sample, left := 0, size; left > 0; block = block[:0] {
		for len(block) < 1<<20 {
			hiss := random.Uint64()
			for range 8 {
				block = binary.LittleEndian.AppendUint16(block, uint16(tone[sample%len(tone)]+int16(int8(hiss))))
				hiss >>= 8
				sample++
			}
		}
		n := min(int64(len(block)), left)
		left -= n
		if _, err := w.Write(block[:n]); err != nil {
			return err
		}
	}
	return nil
}

// tone is a period of 400 Hz at half the volume.
var tone = func() (wave [20]int16) {
	for i := range wave {
		wave[i] = int16(16000 * math.Sin(2*math.Pi*float64(i)/float64(len(wave))))
	}
	return wave
}()

// wavHeader is that of PCM (RFC 2361, tag 1) in a file of size bytes.
func wavHeader(size int64) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32([]byte("RIFF"), uint32(size-8))
	b = append(b, "WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"...)
	b = le.AppendUint32(b, 8000)
	b = le.AppendUint32(b, 16000)
	b = append(b, "\x02\x00\x10\x00data"...)
	return le.AppendUint32(b, uint32(size-44))
}
