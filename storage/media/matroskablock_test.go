package media

import (
	"errors"
	"slices"
	"testing"
)

func TestMatroskaBlocksAreOfTheTracks(t *testing.T) {
	at := ebml(idTimestamp, []byte{0})
	tracks := ebml(idTracks, matroskaTrack(2, "A_OPUS"), matroskaTrack(17, "S_TEXT/UTF8"), matroskaTrack(1, "V_MPEG4/ISO/AVC"))
	sound, picture := block(2, []byte("sound")), block(1, nal(20))
	lace := ebml(idSimpleBlock, []byte{0x81, 0, 0, 0x82}, randomBytes(100))
	unknown := []byte("\x1F\x43\xB6\x75\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF") // a cluster of unknown size
	for name, test := range map[string]struct {
		parts [][]byte
		want  error
	}{
		"both":                    {[][]byte{ebml(idCluster, at, sound, picture, sound)}, nil},
		"subtitles first":         {[][]byte{ebml(idCluster, at, block(17, []byte("hello")), sound, picture)}, nil},
		"sound alone":             {[][]byte{ebml(idCluster, at, sound)}, nil},
		"picture later":           {[][]byte{ebml(idCluster, at, slices.Repeat(sound, 100), picture)}, nil},
		"in groups":               {[][]byte{ebml(idCluster, at, ebml(idBlockGroup, ebml(idVoid), ebml(idBlock, []byte{0x82, 0, 0, 0, 1})))}, nil},
		"in the second cluster":   {[][]byte{ebml(idCluster, at), ebml(idCluster, at, sound)}, nil},
		"live":                    {[][]byte{unknown, at, sound}, nil},
		"live, the next cluster":  {[][]byte{unknown, at, sound, unknown, at, picture}, nil},
		"live, an empty cluster":  {[][]byte{unknown, at, unknown, at, sound}, nil},
		"live, the second cut":    {[][]byte{unknown, at, sound, sound[:7]}, nil},
		"live, its header cut":    {[][]byte{unknown, at, sound, sound[:3]}, nil},
		"laced":                   {[][]byte{ebml(idCluster, at, lace)}, nil},
		"live, nothing recorded":  {[][]byte{unknown, at}, ErrEmpty},
		"nothing recorded":        {[][]byte{ebml(idCluster, at)}, ErrEmpty},
		"the first cut":           {[][]byte{unknown, at, sound[:8]}, ErrUnrecognized},
		"enciphered cluster":      {[][]byte{ebml(idCluster, randomBytes(4000))}, ErrUnrecognized},
		"enciphered picture":      {[][]byte{ebml(idCluster, at, sound, block(1, randomBytes(4000)))}, ErrUnrecognized},
		"enciphered second block": {[][]byte{ebml(idCluster, at, sound, randomBytes(4000))}, ErrUnrecognized},
		"encrypted block":         {[][]byte{ebml(idCluster, at, ebml(idEncrypted, []byte{0x82, 0, 0, 0}))}, ErrEncrypted},
		"of no track":             {[][]byte{ebml(idCluster, at, block(3, []byte("sound")))}, ErrUnrecognized},
		"without its header":      {[][]byte{ebml(idCluster, at, ebml(idSimpleBlock, []byte{0x82, 0}))}, ErrUnrecognized},
		"a group without one":     {[][]byte{ebml(idCluster, at, ebml(idBlockGroup))}, ErrUnrecognized},
		"another element":         {[][]byte{ebml(idCluster, at, ebml(idTracks))}, ErrUnrecognized},
	} {
		if f, err := identify(t, live("matroska", append([][]byte{tracks}, test.parts...)...)); !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestMatroskaFieldsOfUnknownSizeDoNoHarm(t *testing.T) {
	track := ebml(idTrackEntry, ebml(idTrackType, []byte{2}), ebml(idCodec, []byte("A_OPUS")), ebml(idNumber, []byte{2}), []byte("\x63\xA2\xFF"))
	if f, err := identify(t, live("webm", ebml(idTracks, track), ebml(idCluster, block(2, []byte("sound"))))); err != nil {
		t.Errorf("%+v, %v", f, err)
	}
	open := []byte("\xA3\xFF\x82\x00\x00\x80sound") // a block
	if f, err := identify(t, live("webm", ebml(idTracks, matroskaTrack(2, "A_OPUS")), ebml(idCluster, open))); !errors.Is(err, ErrUnrecognized) {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestMatroskaFramesAreOfTheirCodec(t *testing.T) {
	avc := func(prefix byte) []byte { return ebml(idPrivate, []byte{1, 0x42, 0, 0x0A, 0xFC | prefix - 1, 0xE1}) }
	audio := ebml(idAudio, ebml(idChannels, []byte{1}), ebml(idBitDepth, []byte{16}))
	stripped := ebml(idEncodings, ebml(idEncoding))
	for name, test := range map[string]struct {
		kind  byte
		codec string
		more  []byte
		frame []byte
		want  error
	}{
		"H.264":                 {1, "V_MPEG4/ISO/AVC", nil, nal(20), nil},
		"H.264, lengths of 2":   {1, "V_MPEG4/ISO/AVC", avc(2), []byte("\x00\x02\x65\x88"), nil},
		"H.264, not of 2":       {1, "V_MPEG4/ISO/AVC", nil, []byte("\x00\x02\x65\x88"), ErrUnrecognized},
		"HEVC":                  {1, "V_MPEGH/ISO/HEVC", nil, nal(20), nil},
		"stripped of its start": {1, "V_MPEG4/ISO/AVC", stripped, randomBytes(1000), nil},
		"MP3":                   {2, "A_MPEG/L3", nil, frames(recorder16, 144), nil},
		"PCM":                   {2, "A_PCM/INT/LIT", audio, make([]byte, 4000), nil},
		"AAC, not checked":      {2, "A_AAC", nil, randomBytes(1000), nil},
		"not MP3":               {2, "A_MPEG/L3", nil, randomBytes(1000), ErrUnrecognized},
		"enciphered PCM":        {2, "A_PCM/INT/LIT", audio, randomBytes(4000), ErrEncrypted},
	} {
		cluster := ebml(idCluster, block(test.kind, test.frame))
		if f, err := identify(t, live("matroska", ebml(idTracks, matroskaTrack(test.kind, test.codec, test.more)), cluster)); !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}
