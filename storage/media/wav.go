package media

import "encoding/binary"

func isWAV(head []byte) bool { return isRIFF(head, "WAVE") }

func isRIFF(head []byte, form string) bool {
	if len(head) < 12 || string(head[8:12]) != form {
		return false
	}
	switch string(head[:4]) {
	case "RIFF", "RIFX", "RF64", "BW64":
		return true
	}
	return false
}

// proveWAV walks the chunks (RIFF; RF64 and BW64 of EBU Tech 3306 and ITU-R
// BS.2088, RIFX with the byte order turned round) to the samples. The sizes of
// RIFF and data are not believed: a recorder writes them last.
func proveWAV(w *window) (Format, error) {
	var order binary.ByteOrder = binary.LittleEndian
	if string(w.head[:4]) == "RIFX" {
		order = binary.BigEndian
	}
	var wave waveFormat
	for c, err := range w.chunks(12, w.size, order) {
		if err != nil {
			return Format{}, err
		}
		switch c.id {
		case "fmt ":
			if c.size > w.size-c.off && c.size < 1<<10 {
				return Format{}, ErrEmpty // cut within the header
			}
			if wave, err = readWaveFormat(w, c, order); err != nil {
				return Format{}, err
			}
		case "data":
			return proveWaveData(w, c, wave)
		}
		if c.size > w.size-c.off {
			return Format{}, unrecognized("its %q chunk is longer than the file", c.id)
		}
	}
	return Format{}, ErrEmpty // the file ends before the samples
}

// proveWaveData proves the samples in the data chunk c.
func proveWaveData(w *window, c chunk, wave waveFormat) (Format, error) {
	if wave.codec.name == "" {
		return Format{}, unrecognized("its samples come before their format")
	}
	n, err := dataLength(w, c, wave.order)
	if err != nil {
		return Format{}, err
	}
	if n < int64(wave.align) {
		return Format{}, ErrEmpty
	}
	b, err := w.at(c.off, int(min(n, sampleBytes(w, c.off))))
	if err != nil {
		return Format{}, err
	}
	if err := wave.codec.check(wave, b); err != nil {
		return Format{}, err
	}
	return wave.format(string(w.head[:4])), nil
}

// sampleBytes is how many bytes of samples at off to judge by: those at hand
// if there are at least 8 KiB, else 32 KiB.
func sampleBytes(w *window, off int64) int64 {
	if left := int64(len(w.head)) - off; left >= 8<<10 {
		return left
	}
	return headBytes
}

// dataLength returns how many bytes of samples there are. A size of 0 or one
// beyond the end (0xFFFFFFFF, 0x7FFFFFFF) is a recorder's that has not
// finished, and the samples go on to the end of the file; a 0 is meant only
// where chunks follow that end with the file.
func dataLength(w *window, c chunk, order binary.ByteOrder) (int64, error) {
	rest := w.size - c.off
	if c.size > 0 {
		return min(c.size, rest), nil
	}
	end := c.off
	for next, err := range w.chunks(c.off, w.size, order) {
		if err != nil {
			if !isVerdict(err) {
				return 0, err
			}
			return rest, nil
		}
		end = next.off + next.size
	}
	if end == w.size || end+1 == w.size {
		return 0, nil
	}
	return rest, nil
}
