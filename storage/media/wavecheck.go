package media

import "encoding/binary"

// checkLinear refuses samples of a fixed width that are ciphertext.
func checkLinear(f waveFormat, b []byte) error {
	top, width := 0, f.align/f.channels
	if f.order == binary.LittleEndian {
		top = width - 1
	}
	if (samples{b, width, top, f.channels, minSamples}).uniform() {
		return &EncryptedError{Scheme: "samples"}
	}
	return nil
}

// checkBytes is for codecs without a mark of their own in their blocks. Their
// bytes are dense and yet not uniform.
func checkBytes(_ waveFormat, b []byte) error {
	if (samples{b, 1, 0, 1, minCoded}).uniform() {
		return &EncryptedError{Scheme: "samples"}
	}
	return nil
}

// checkIMA asks for the header of each block, cut or not: per channel a sample, a step
// index of 0 to 88, and 0 (IMA Digital Audio; RFC 2361, A.15).
func checkIMA(f waveFormat, b []byte) error {
	for ; len(b) >= 4*f.channels; b = tail(b, f.align) {
		for i := range f.channels {
			if h := b[4*i:]; h[2] > 88 || h[3] != 0 {
				return unrecognized("its IMA ADPCM blocks do not parse")
			}
		}
	}
	return nil
}

// checkMSADPCM asks for the header of each block, which starts with a
// predictor of 0 to 6 per channel (RFC 2361, A.2).
func checkMSADPCM(f waveFormat, b []byte) error {
	for ; len(b) >= 7*f.channels; b = tail(b, f.align) {
		for _, predictor := range b[:f.channels] {
			if predictor > 6 {
				return unrecognized("its Microsoft ADPCM blocks do not parse")
			}
		}
	}
	return nil
}

func checkMPEG(_ waveFormat, b []byte) error {
	if frames, _ := mpegChain(b); len(frames) < minFrames {
		return unrecognized("%d MPEG audio frames in a row, %d needed", len(frames), minFrames)
	}
	return nil
}
