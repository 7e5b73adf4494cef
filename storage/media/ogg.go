package media

import "bytes"

func isOgg(head []byte) bool { return bytes.HasPrefix(head, []byte("OggS")) }

// maxStreams logical streams are told apart at most, each with a page that
// starts it.
const maxStreams = 8

// proveOgg reads the pages that start a stream each, which come first, and the
// page after them.
func proveOgg(w *window) (Format, error) {
	var out Format
	var off int64
	for range maxStreams + 1 {
		if off == w.size {
			return Format{}, ErrEmpty
		}
		p, err := readOggPage(w, off)
		if err != nil {
			return Format{}, err
		}
		if !p.begins {
			return finishOgg(out)
		}
		if f, ok := oggCodec(p.body); ok && (out.SampleRate == 0 || f.Type == "video/ogg") {
			out = f.over(out)
		}
		off += p.length
	}
	return Format{}, unrecognized("too many streams in one Ogg")
}

func finishOgg(f Format) (Format, error) {
	if f.Type == "" {
		return Format{}, unrecognized("no known codec in Ogg")
	}
	return f, nil
}

// over joins what two streams of one file say: a picture decides the type, the
// sound all else.
func (f Format) over(earlier Format) Format {
	if earlier.Type == "" {
		return f
	}
	sound, picture := f, earlier
	if f.Type == "video/ogg" {
		sound, picture = earlier, f
	}
	sound.Type, sound.Ext = picture.Type, picture.Ext
	sound.BrowserPlays, sound.Browser = picture.BrowserPlays, picture.Browser
	return sound
}
