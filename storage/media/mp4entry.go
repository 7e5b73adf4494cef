package media

import (
	"encoding/binary"
	"math"
)

// mp4Codecs names the codecs by sample entry, where the entry says it all
// (mp4ra.org/registered-types/sampleentries and Apple's QuickTime format).
var mp4Codecs = map[string]string{
	"mp4a": "aac", "Opus": "opus", "fLaC": "flac", "alac": "alac", ".mp3": "mp3", "ac-3": "ac3", "ec-3": "eac3",
	"samr": "amr_nb", "sawb": "amr_wb", "ulaw": "pcm_mulaw", "alaw": "pcm_alaw", "ima4": "adpcm_ima_qt",
	"avc1": "h264", "avc3": "h264", "hvc1": "hevc", "hev1": "hevc", "vp08": "vp8", "vp09": "vp9", "av01": "av1",
	"mp4v": "mpeg4", "s263": "h263", "jpeg": "mjpeg",
	"twos": "", "sowt": "", "lpcm": "", "ipcm": "", "fpcm": "", "in24": "", "in32": "", "fl32": "", "fl64": "",
}

// mp4Encrypted names the sample entries that stand for an encrypted track
// (ISO/IEC 14496-12, section 8.12; Apple's FairPlay).
var mp4Encrypted = map[string]string{
	"enca": "MPEG Common Encryption", "encv": "MPEG Common Encryption",
	"drms": "FairPlay", "drmi": "FairPlay",
}

// readDescription reads the first sample entry. The entries follow 4 bytes of
// version and flags and a count.
func (t *track) readDescription(w *window, stsd chunk) error {
	entry, err := w.box(stsd.off+8, stsd.off+stsd.size)
	if err != nil {
		return err
	}
	return t.read(w, entry)
}

// read fills in codec, rate and channels.
func (t *track) read(w *window, entry chunk) error {
	if scheme := mp4Encrypted[entry.id]; scheme != "" {
		return &EncryptedError{Scheme: scheme}
	}
	codec, known := mp4Codecs[entry.id]
	if !known {
		return unrecognized("unknown MP4 codec %q", entry.id)
	}
	t.codec = codec
	b, err := w.at(entry.off, int(min(entry.size, 512)))
	if err != nil {
		return err
	}
	if t.handler == "vide" {
		t.coding.nalPrefix = mp4NALPrefix(b)
		return nil
	}
	if len(b) < 28 {
		return unrecognized("an MP4 sample entry is cut")
	}
	t.channels, t.rate = int(binary.BigEndian.Uint16(b[16:])), int(binary.BigEndian.Uint32(b[24:])>>16)
	if b[9] == 2 && len(b) >= 44 { // QuickTime's version 2 has wider fields
		t.rate = int(math.Float64frombits(binary.BigEndian.Uint64(b[32:])))
		t.channels = int(binary.BigEndian.Uint32(b[40:]) & 0xFF)
	}
	t.coding.pcmWidth = mp4PCMWidth(entry.id, b)
	switch {
	case entry.id == "mp4a":
		t.readDescriptor(b[28:])
	case t.codec == "amr_nb", t.codec == "amr_wb":
		t.channels = 1 // whatever the entry says
	}
	return nil
}
