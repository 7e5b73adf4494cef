package media

import "bytes"

// A coding is what it takes to check samples besides the codec.
type coding struct {
	nalPrefix int  // bytes that say the length of a NAL unit
	elements  bool // AAC whose frames start with the id of an element
	pcmWidth  int  // bytes per sample of PCM; 0 = not that
	packed    bool // compressed or stripped once more: not to be checked
}

// sampleChecks tell by codec whether b may start with samples of the given
// sizes, of which it may cut the last. Codecs without a mark in their samples
// are not here.
var sampleChecks = map[string]func(c coding, b []byte, sizes []int64) bool{
	"h264":   isNALSample,
	"hevc":   isNALSample,
	"aac":    areElements,
	"amr_nb": func(_ coding, b []byte, _ []int64) bool { return amrKinds[0].chains(b) },
	"amr_wb": func(_ coding, b []byte, _ []int64) bool { return amrKinds[1].chains(b) },
	"mp3":    func(_ coding, b []byte, _ []int64) bool { return isMPEGAudio(b) },
	"mp2":    func(_ coding, b []byte, _ []int64) bool { return isMPEGAudio(b) },
	"alac":   func(_ coding, b []byte, sizes []int64) bool { return each(b, sizes, isALACFrame) },
	"flac":   func(_ coding, b []byte, _ []int64) bool { return isFLACFrame(b) },
	"ac3":    func(_ coding, b []byte, _ []int64) bool { return bytes.HasPrefix(b, []byte("\x0B\x77")) },
	"eac3":   func(_ coding, b []byte, _ []int64) bool { return bytes.HasPrefix(b, []byte("\x0B\x77")) },
	"mjpeg":  func(_ coding, b []byte, _ []int64) bool { return bytes.HasPrefix(b, []byte("\xFF\xD8")) },
	"h263":   func(_ coding, b []byte, _ []int64) bool { return isH263(b) },
	"vp8":    func(_ coding, b []byte, _ []int64) bool { return isVP8(b) },
	"vp9":    func(_ coding, b []byte, _ []int64) bool { return isVP9(b) },
}

// prove refuses the samples r of t if they cannot be its codec's.
func (t *track) prove(w *window, r run) error {
	if t.coding.packed || r.sizes[0] == 0 {
		return nil
	}
	b, err := w.at(r.off, int(min(t.length(r), sampleBytes(w, r.off))))
	if err != nil {
		return err
	}
	if width := t.coding.pcmWidth; width > 0 && (samples{b, width, 0, t.channels, minSamples}).uniform() {
		return &EncryptedError{Scheme: "samples"}
	}
	if check := sampleChecks[t.codec]; check != nil && !check(t.coding, b, r.sizes) {
		return unrecognized("its first samples are not %s", t.codec)
	}
	return nil
}

// length returns how many bytes the samples r have. A run of PCM has a sample
// per frame, and QuickTime says that it is of 1 byte, whatever it is.
func (t *track) length(r run) int64 {
	n := r.count * int64(t.coding.pcmWidth*t.channels)
	var stated int64
	for _, size := range r.sizes {
		stated += size
	}
	return max(n, stated)
}

// each reports whether is holds for all samples that b has whole, and for the
// first in any case. It is not asked about empty ones.
func each(b []byte, sizes []int64, is func(sample []byte) bool) bool {
	for i, size := range sizes {
		whole := size <= int64(len(b))
		if !whole && i > 0 {
			break
		}
		sample := b[:min(size, int64(len(b)))]
		if len(sample) > 0 && !is(sample) {
			return false
		}
		b = tail(b, len(sample))
	}
	return true
}

func isNALSample(c coding, b []byte, sizes []int64) bool {
	first := min(sizes[0], int64(len(b)))
	return isNALChain(b[:first], sizes[0], c.nalPrefix)
}
