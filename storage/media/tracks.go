package media

import (
	"slices"
	"strings"
)

// A track is what an MP4 or Matroska file says of one.
type track struct {
	handler        string // "soun", "vide" or another
	codec          string
	rate, channels int
	bitRate        int // 0 = not known

	number uint64 // by which fragments and blocks name it
	coding coding
	first  run // where MP4 keeps its first samples
}

// tracks are the first of sound and the first of picture.
type tracks struct {
	sound, picture *track
	numbers        []uint64 // of all
}

func (t *tracks) add(one track) {
	t.numbers = append(t.numbers, one.number)
	switch {
	case one.handler == "soun" && t.sound == nil:
		t.sound = &one
	case one.handler == "vide" && t.picture == nil:
		t.picture = &one
	}
}

func (t *tracks) none() bool { return t.sound == nil && t.picture == nil }

// both returns those there are.
func (t *tracks) both() []*track {
	return slices.DeleteFunc([]*track{t.sound, t.picture}, func(t *track) bool { return t == nil })
}

// format is what players are told of an MP4; brand is its major brand.
func (t *tracks) format(brand string) Format {
	f := Format{Container: "mp4", BrowserPlays: true}
	kind := "video/"
	if t.picture == nil {
		kind = "audio/"
	} else {
		f.Codec = t.picture.codec
		f.hinder(t.picture.codec)
	}
	if t.sound != nil {
		f.Codec, f.SampleRate, f.Channels = t.sound.codec, t.sound.rate, t.sound.channels
		f.BitRate = t.sound.bitRate
		f.hinder(t.sound.codec)
	}
	switch {
	case brand == "qt  ":
		f.Type, f.Ext = "video/quicktime", "mov"
		if f.Browser == "" {
			f.Browser = "not every browser plays QuickTime"
		}
	case strings.HasPrefix(brand, "3g"):
		f.Type, f.Ext = kind+"3gpp", "3gp"
	case t.picture == nil:
		f.Type, f.Ext = "audio/mp4", "m4a"
	default:
		f.Type, f.Ext = "video/mp4", "mp4"
	}
	return f
}

// hinder notes what browsers make of a codec within MP4 or Matroska. If
// one track cannot be played, the recording cannot.
func (f *Format) hinder(codec string) {
	switch codec {
	case "aac", "mp3", "opus", "flac", "vorbis", "h264", "vp8", "vp9", "av1":
	case "alac", "hevc", "ac3", "eac3":
		if f.BrowserPlays {
			f.Browser = "not every browser plays " + strings.ToUpper(codec)
		}
	case "":
		f.BrowserPlays, f.Browser = false, "browsers do not play this codec in this container"
	default:
		f.BrowserPlays, f.Browser = false, "browsers do not play "+codec+" in this container"
	}
}
