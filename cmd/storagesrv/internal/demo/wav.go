package demo

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strconv"
)

const (
	rate      = 8000 // samples per second of all WAV here, which is mono
	pcmHeader = 44   // bytes of a WAV header before PCM
)

func muLawWAV() []byte {
	speech := load("speech.ulaw")
	return append(muLawHeader(len(speech)), speech...)
}

func pcmWAV() []byte {
	speech := load("speech.ulaw")
	b := wavHeader(1, 16, 2*len(speech), nil)
	for _, code := range speech {
		b = binary.LittleEndian.AppendUint16(b, uint16(linear(code)))
	}
	return b
}

func emptyWAV() []byte { return wavHeader(1, 16, 0, nil) }

// linear decodes a sample of µ-law (ITU-T G.711) to 16 bits.
func linear(code byte) int16 {
	const bias = 0x84
	code = ^code
	magnitude := (int16(code&0x0F)<<3 + bias) << (code >> 4 & 7)
	if code&0x80 != 0 {
		return bias - magnitude
	}
	return magnitude - bias
}

// muLawHeader has the fact chunk that WAV wants where samples are not PCM.
func muLawHeader(samples int) []byte {
	fact := binary.LittleEndian.AppendUint32([]byte("fact\x04\x00\x00\x00"), uint32(samples))
	return wavHeader(7, 8, samples, fact)
}

// wavHeader is what comes before size bytes of samples. RFC 2361 lists the
// format tags; further is chunks to put before the samples.
func wavHeader(tag, bits uint16, size int, further []byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32([]byte("RIFF"), uint32(pcmHeader-8+len(further)+size))
	b = append(b, "WAVEfmt \x10\x00\x00\x00"...)
	b = le.AppendUint16(b, tag)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint32(b, rate)
	b = le.AppendUint32(b, rate*uint32(bits)/8)
	b = le.AppendUint16(b, bits/8)
	b = le.AppendUint16(b, bits)
	b = append(append(b, further...), "data"...)
	return le.AppendUint32(b, uint32(size))
}

// hourWAV is a call of 60 minutes. A voice says at the start of each which one
// it is, so that whoever jumps in it hears where that led to.
func hourWAV() []byte {
	const minute = 60 * rate
	// Each minute has another part of the hiss between the words, so that bytes
	// from a wrong place can be told.
	const step = rate - 1
	hiss := noise(60*step + minute)
	b := slices.Grow(muLawHeader(60*minute), 60*minute)
	for m := range 60 {
		b = append(b, hiss[m*step:][:minute]...)
		announce(b[len(b)-minute:], m)
	}
	return b
}

// noise is what a telephone line sounds like without a voice, always the same.
func noise(n int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 0, n+8)
	for len(b) < n {
		// a sign and the two lowest bits of a magnitude, inverted as in G.711
		b = binary.LittleEndian.AppendUint64(b, ^(random.Uint64() & 0x8383838383838383))
	}
	return b[:n]
}

// announce says the minute m, and then the speech again and again.
func announce(line []byte, m int) {
	line = line[copy(line, load("minute.ulaw")):]
	for _, digit := range strconv.Itoa(m) {
		line = line[copy(line, load(string(digit)+".ulaw")):]
	}
	speech := load("speech.ulaw")
	for pause := rate; len(line) > pause+len(speech); line = line[pause+len(speech):] {
		copy(line[pause:], speech)
	}
}
