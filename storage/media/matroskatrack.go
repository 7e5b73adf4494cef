package media

import "strings"

// readTrackEntry reads one track of a Matroska file.
func readTrackEntry(w *window, entry element) (track, error) {
	t := track{rate: 8000, channels: 1} // what Matroska means by absence
	var private []byte
	bitDepth := 0
	for e, err := range w.elements(entry.off, entry.off+entry.size) {
		if err != nil {
			return t, err
		}
		switch e.id {
		case idTrackType, idCodec, idNumber:
			err = t.readField(w, e)
		case idPrivate:
			private, err = w.at(e.off, int(max(0, min(e.size, 64))))
		case idAudio:
			bitDepth, err = t.readAudio(w, e)
		case idEncodings:
			t.coding.packed = true
			err = refuseEncryption(w, e)
		}
		if err != nil {
			return t, err
		}
	}
	if t.handler == "" && t.codec == "" {
		return t, unrecognized("a Matroska track without type and codec")
	}
	t.codec = matroskaCodec(t.codec, bitDepth)
	switch {
	case t.codec == "opus":
		t.rate = 48000 // what Opus decodes to, whatever went in
	case t.codec == "h264":
		t.coding.nalPrefix = nalPrefix(private, avcPrefixAt)
	case t.codec == "hevc":
		t.coding.nalPrefix = nalPrefix(private, hevcPrefixAt)
	case strings.HasPrefix(t.codec, "pcm_"):
		t.coding.pcmWidth = bitDepth / 8
	}
	return t, nil
}

func (t *track) readField(w *window, e element) error {
	b, err := w.body(e)
	if err != nil {
		return err
	}
	if e.id == idCodec {
		t.codec = strings.TrimRight(string(b), "\x00")
		return nil
	}
	n := bigEndian(b)
	if e.id == idNumber {
		t.number = n
		return nil
	}
	switch n {
	case 1:
		t.handler = "vide"
	case 2:
		t.handler = "soun"
	}
	return nil
}

func (t *track) readAudio(w *window, audio element) (bitDepth int, err error) {
	for e, err := range w.elements(audio.off, audio.off+audio.size) {
		if err != nil {
			return 0, err
		}
		if e.id != idRate && e.id != idChannels && e.id != idBitDepth {
			continue
		}
		b, err := w.body(e)
		if err != nil {
			return 0, err
		}
		switch e.id {
		case idRate:
			if r := ebmlFloat(b); r > 0 && r < 1e6 {
				t.rate = int(r)
			}
		case idChannels:
			t.channels = int(bigEndian(b) & 0xFF)
		case idBitDepth:
			bitDepth = int(bigEndian(b) & 0xFF)
		}
	}
	return bitDepth, nil
}

// refuseEncryption fails for a track whose content encodings encrypt it.
func refuseEncryption(w *window, encodings element) error {
	for encoding, err := range w.elements(encodings.off, encodings.off+encodings.size) {
		if err != nil {
			return err
		}
		if encoding.id != idEncoding {
			continue
		}
		for e, err := range w.elements(encoding.off, encoding.off+encoding.size) {
			if err != nil {
				return err
			}
			if e.id == idEncryption {
				return &EncryptedError{Scheme: "Matroska content encryption"}
			}
		}
	}
	return nil
}
