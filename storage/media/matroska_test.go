package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// ebml returns an element with a size of 4 bytes.
func ebml(id uint32, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	b := bytes.TrimLeft(binary.BigEndian.AppendUint32(nil, id), "\x00")
	b = binary.BigEndian.AppendUint32(b, 0x10000000|uint32(len(body)))
	return append(b, body...)
}

// matroskaTrack returns a track of type and number kind: 1 is picture, 2 sound.
func matroskaTrack(kind byte, codec string, more ...[]byte) []byte {
	parts := [][]byte{ebml(idTrackType, []byte{kind}), ebml(idCodec, []byte(codec)), ebml(idNumber, []byte{kind})}
	return ebml(idTrackEntry, append(parts, more...)...)
}

// block returns a block of one frame of the given track.
func block(track byte, frame []byte) []byte {
	return ebml(idSimpleBlock, []byte{0x80 | track, 0, 0, 0x80}, frame)
}

// live returns a Matroska file of unknown size, as a recorder streams it.
func live(docType string, parts ...[]byte) []byte {
	b := ebml(idEBML, ebml(idDocType, []byte(docType)))
	b = append(b, "\x18\x53\x80\x67\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF"...)
	return append(b, bytes.Join(parts, nil)...)
}

func TestMatroskaTracks(t *testing.T) {
	audio := ebml(idAudio, ebml(idRate, []byte{0x47, 0x2C, 0x44, 0x00}), ebml(idChannels, []byte{2}), ebml(idBitDepth, []byte{16}))
	vp8 := []byte("\x10\x00\x00\x9D\x01\x2A")
	soundOnly := ebml(idCluster, ebml(idTimestamp, []byte{0}), block(2, []byte{0}))
	both := ebml(idCluster, ebml(idTimestamp, []byte{0}), block(1, vp8), block(2, []byte{0}))
	picture := ebml(idCluster, ebml(idBlockGroup, ebml(idBlock, []byte{0x81, 0, 0, 0}, nal(20))))
	for name, test := range map[string]struct {
		b               []byte
		typ, ext, codec string
		rate            int
		plays, unevenly bool
	}{
		"sound":          {live("webm", ebml(idTracks, matroskaTrack(2, "A_VORBIS", audio)), soundOnly), "audio/webm", "webm", "vorbis", 44100, true, false},
		"with a picture": {live("webm", ebml(idTracks, matroskaTrack(1, "V_VP8"), matroskaTrack(2, "A_OPUS", audio)), both), "video/webm", "webm", "opus", 48000, true, false},
		"Matroska":       {live("matroska", ebml(idTracks, matroskaTrack(2, "A_PCM/INT/LIT", audio)), soundOnly), "audio/x-matroska", "mka", "pcm_s16le", 44100, false, true},
		"attachments":    {live("matroska", ebml(idVoid, make([]byte, 40<<10)), ebml(idTracks, matroskaTrack(1, "V_MPEG4/ISO/AVC")), ebml(idAttached, make([]byte, 300<<10)), picture), "video/x-matroska", "mkv", "h264", 0, true, true},
	} {
		f, err := identify(t, test.b)
		if err != nil || f.Type != test.typ || f.Ext != test.ext || f.Codec != test.codec || f.SampleRate != test.rate ||
			f.BrowserPlays != test.plays || (f.Browser != "") != test.unevenly {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestMatroskaWithContentEncryptionIsEncrypted(t *testing.T) {
	encodings := ebml(idEncodings, ebml(idEncoding, ebml(idEncryption)))
	b := live("webm", ebml(idTracks, matroskaTrack(2, "A_OPUS", encodings)), ebml(idCluster))
	if f, err := identify(t, b); !errors.Is(err, ErrEncrypted) {
		t.Fatalf("%+v, %v", f, err)
	}
}

func TestMatroskaWithoutAProofIsRefused(t *testing.T) {
	tracks := ebml(idTracks, matroskaTrack(2, "A_OPUS"))
	for name, test := range map[string]struct {
		b    []byte
		want error
	}{
		"another document":   {live("other", tracks, ebml(idCluster)), ErrUnrecognized},
		"media before":       {live("webm", ebml(idCluster), tracks), ErrUnrecognized},
		"no tracks":          {live("webm", ebml(idInfo), ebml(idCluster)), ErrUnrecognized},
		"unknown element":    {live("webm", tracks, ebml(0x1B000000), ebml(idCluster)), ErrUnrecognized},
		"random after":       {live("webm", tracks, randomBytes(100)), ErrUnrecognized},
		"nothing after":      {live("webm", tracks), ErrEmpty},
		"track without type": {live("webm", ebml(idTracks, ebml(idTrackEntry)), ebml(idCluster)), ErrUnrecognized},
	} {
		if f, err := identify(t, test.b); !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}
