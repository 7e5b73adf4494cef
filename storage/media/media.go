// Package media tells what the bytes of a recording are. It proves that they
// are playable media before anybody is sent them, and names ciphertext where
// ciphertext has a name.
//
//	f, err := media.Identify(file, info.Size())
//	switch {
//	case errors.Is(err, media.ErrEmpty):        // nothing was recorded
//	case errors.Is(err, media.ErrEncrypted):    // err says with what
//	case errors.Is(err, media.ErrUnrecognized): // err says what is missing for a proof
//	case err != nil:                            // the file could not be read
//	}
//	w.Header().Set("Content-Type", f.Type)
//
// A proof is a container whose header and first frames parse from byte 0 on;
// nothing is ever searched for. In MP4 and Matroska these are the first
// samples of the first sound and the first picture. They have to be there, and
// to start as their codec has it.
//
// What cannot be told is ciphertext in the place of a payload without a mark:
// MP3, AAC or ADPCM enciphered frame by frame under plain frame headers; Opus,
// Vorbis, ADPCM, AV1 and MPEG-4 video behind a plain MP4 index or, like AAC,
// in plain Matroska blocks; whatever plain chunks or packets of AVI, ASF and
// MPEG-TS hold. Some marks are short. Enciphered AAC in MP4 passes 2 times in
// 1,000 where half a second is in one chunk, 3 times in 4 as a single frame;
// VP8 passes every other time, VP9 1 time in 4; a first chunk of fewer than
// 1,024 PCM samples is believed. Nothing is said of what follows the first
// frames.
package media

import (
	"errors"
	"fmt"
	"io"
)

// Format is what the bytes of a recording are.
type Format struct {
	Type       string // Content-Type: "audio/mpeg", "audio/wav", "video/mp4", ...
	Ext        string // the usual file name extension, without a dot: "mp3"
	Container  string // "mp3", "wav", "ogg", "flac", "mp4", "matroska", "webm", "adts", "amr", "aiff", "avi", "asf", "mpegts"
	Codec      string // FFmpeg's short name ("pcm_s16le", "gsm_ms", "opus") of the first sound track, else of the picture; "" = not known
	SampleRate int    // Hz; 0 = not known
	Channels   int    // 0 = not known
	BitRate    int    // bit/s, of the sound where it is constant or the header states an average; 0 = not known

	// BrowserPlays is false where no mainstream browser plays it.
	BrowserPlays bool
	// Browser says, in a short sentence, why browsers may not play it; ""
	// where they all do. It may be set although BrowserPlays: some do then.
	Browser string
}

// Identify decides from the first bytes of a recording of the given size what
// it is. It makes at most 80 calls of r.ReadAt for 256 KiB in all, none beyond
// size; one call for the first 32 KiB is the rule, and more are made only
// where the container itself names another place: behind an ID3v2 tag, the
// next RIFF chunk, an MP4 index at the end, the first samples of an MP4.
//
// The error is, for errors.Is, ErrEmpty, ErrEncrypted (an *EncryptedError),
// ErrUnrecognized, or what r failed with; io.ErrUnexpectedEOF means that r
// ended before size.
func Identify(r io.ReaderAt, size int64) (Format, error) {
	if size < 0 {
		return Format{}, fmt.Errorf("identify: negative size %d", size)
	}
	if size == 0 {
		return Format{}, ErrEmpty
	}
	w, err := newWindow(r, size)
	defer w.free()
	if err != nil {
		return Format{}, err
	}
	f, err := prove(w)
	if errors.Is(err, ErrUnrecognized) {
		err = nameCiphertext(w, err)
	}
	if err != nil {
		return Format{}, err
	}
	return f, nil
}

// prove hands the recording to the one format that its first bytes announce.
func prove(w *window) (Format, error) {
	for _, c := range containers {
		if c.announced(w.head) {
			return c.prove(w)
		}
	}
	return Format{}, unrecognized("no known container starts like this")
}

// containers are the formats known. announced looks at magic bytes only, and
// no two agree on the same start; prove then has the last word.
var containers = []struct {
	announced func(head []byte) bool
	prove     func(w *window) (Format, error)
}{
	{isWAV, proveWAV},
	{isTagged, proveTagged},
	{isMPEGAudio, func(w *window) (Format, error) { return proveMPEGAudio(w, 0) }},
	{isADTS, func(w *window) (Format, error) { return proveADTS(w, 0) }},
	{isOgg, proveOgg},
	{isFLAC, func(w *window) (Format, error) { return proveFLAC(w, 0) }},
	{isMP4, proveMP4},
	{isMatroska, proveMatroska},
	{isAMR, proveAMR},
	{isAIFF, proveAIFF},
	{isAVI, proveAVI},
	{isASF, proveASF},
	{isMPEGTS, proveMPEGTS},
}
