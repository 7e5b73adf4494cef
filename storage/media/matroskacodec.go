package media

import "strings"

// matroskaCodecs names the codecs by id (RFC 9559's codec registry); the rest
// of an id, as in A_AAC/MPEG4/LC, only details it.
var matroskaCodecs = []struct{ id, name string }{
	{"A_OPUS", "opus"}, {"A_VORBIS", "vorbis"}, {"A_AAC", "aac"}, {"A_MPEG/L3", "mp3"}, {"A_MPEG/L2", "mp2"},
	{"A_FLAC", "flac"}, {"A_EAC3", "eac3"}, {"A_AC3", "ac3"}, {"A_ALAC", "alac"},
	{"V_VP8", "vp8"}, {"V_VP9", "vp9"}, {"V_AV1", "av1"}, {"V_MPEG4/ISO/AVC", "h264"}, {"V_MPEGH/ISO/HEVC", "hevc"},
	{"V_MPEG4/ISO", "mpeg4"}, {"V_THEORA", "theora"}, {"V_MJPEG", "mjpeg"},
}

func matroskaCodec(id string, bitDepth int) string {
	for _, c := range matroskaCodecs {
		if strings.HasPrefix(id, c.id) {
			return c.name
		}
	}
	pcm := map[int]string{8: "u8", 16: "s16", 24: "s24", 32: "s32"}[bitDepth]
	switch {
	case id == "A_PCM/INT/LIT" && bitDepth == 8:
		return "pcm_u8"
	case id == "A_PCM/INT/LIT" && pcm != "":
		return "pcm_" + pcm + "le"
	case id == "A_PCM/INT/BIG" && pcm != "":
		return "pcm_" + pcm + "be"
	case id == "A_PCM/FLOAT/IEEE" && bitDepth == 32:
		return "pcm_f32le"
	case id == "A_PCM/FLOAT/IEEE" && bitDepth == 64:
		return "pcm_f64le"
	}
	return ""
}

// matroska is what players are told of a file with these tracks.
func (t *tracks) matroska(docType string) Format {
	f := t.format("")
	kind, _, _ := strings.Cut(f.Type, "/")
	f.Container = docType
	if docType == "webm" {
		f.Type, f.Ext = kind+"/webm", "webm"
		return f
	}
	f.Type, f.Ext = kind+"/x-matroska", "mkv"
	if kind == "audio" {
		f.Ext = "mka"
	}
	if f.Browser == "" {
		f.Browser = "not every browser plays Matroska"
	}
	return f
}
