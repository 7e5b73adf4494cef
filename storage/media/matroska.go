package media

import (
	"bytes"
	"slices"
	"strings"
)

// Element ids of Matroska (RFC 9559, section 5).
const (
	idEBML       = 0x1A45DFA3
	idDocType    = 0x4282
	idSegment    = 0x18538067
	idSeekHead   = 0x114D9B74
	idInfo       = 0x1549A966
	idTracks     = 0x1654AE6B
	idCluster    = 0x1F43B675
	idCues       = 0x1C53BB6B
	idAttached   = 0x1941A469
	idChapters   = 0x1043A770
	idTags       = 0x1254C367
	idVoid       = 0xEC
	idCRC        = 0xBF
	idTrackEntry = 0xAE
	idTrackType  = 0x83
	idCodec      = 0x86
	idAudio      = 0xE1
	idRate       = 0xB5
	idChannels   = 0x9F
	idBitDepth   = 0x6264
	idEncodings  = 0x6D80
	idEncoding   = 0x6240
	idEncryption = 0x5035
	idNumber     = 0xD7
	idPrivate    = 0x63A2
)

// segmentParts are the elements a segment may have.
var segmentParts = []uint32{idSeekHead, idInfo, idTracks, idCluster, idCues, idAttached, idChapters, idTags}

func isMatroska(head []byte) bool { return bytes.HasPrefix(head, []byte("\x1A\x45\xDF\xA3")) }

// proveMatroska reads header and tracks, and asks for media after them.
func proveMatroska(w *window) (Format, error) {
	header, err := w.element(0)
	if err != nil {
		return Format{}, err
	}
	docType, err := readDocType(w, header)
	if err != nil {
		return Format{}, err
	}
	segment, err := w.element(header.off + header.size)
	if err != nil {
		return Format{}, err
	}
	if segment.id != idSegment {
		return Format{}, unrecognized("no segment follows its Matroska header")
	}
	found, err := readSegment(w, segment)
	if err != nil {
		return Format{}, err
	}
	if found.none() {
		return Format{}, unrecognized("a Matroska file without sound or picture")
	}
	return found.matroska(docType), nil
}

func readDocType(w *window, header element) (string, error) {
	if header.size < 0 || header.size > 1<<10 {
		return "", unrecognized("its Matroska header makes no sense")
	}
	for e, err := range w.elements(header.off, header.off+header.size) {
		if err != nil {
			return "", err
		}
		if e.id != idDocType {
			continue
		}
		b, err := w.body(e)
		if err != nil {
			return "", err
		}
		if t := strings.TrimRight(string(b), "\x00"); t == "webm" || t == "matroska" {
			return t, nil
		}
	}
	return "", unrecognized("neither WebM nor Matroska")
}

// readSegment returns the tracks once the first block of media is proved.
func readSegment(w *window, segment element) (tracks, error) {
	var found tracks
	for e, err := range w.elements(segment.off, w.size) {
		if err != nil {
			return found, err
		}
		switch e.id {
		case idTracks:
			if found, err = readTracks(w, e); err != nil {
				return found, err
			}
		case idCluster:
			if found.none() {
				return found, nil
			}
			if blocks, err := found.proveCluster(w, e); blocks > 0 || err != nil {
				return found, err
			}
		case idVoid, idCRC:
		default:
			if !slices.Contains(segmentParts, e.id) {
				return found, unrecognized("its Matroska elements do not chain")
			}
		}
	}
	return found, ErrEmpty
}

func readTracks(w *window, e element) (tracks, error) {
	var found tracks
	if e.size < 0 {
		return found, unrecognized("Matroska tracks of unknown size")
	}
	for entry, err := range w.elements(e.off, e.off+e.size) {
		if err != nil {
			return found, err
		}
		if entry.id != idTrackEntry {
			continue
		}
		t, err := readTrackEntry(w, entry)
		if err != nil {
			return found, err
		}
		found.add(t)
	}
	return found, nil
}
