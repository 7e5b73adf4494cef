package media

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

// page returns an Ogg page with one packet.
func page(flags byte, packet string) []byte {
	b := append([]byte("OggS\x00"), flags)
	b = append(b, make([]byte, 20)...)
	n := len(packet)/255 + 1
	b = append(b, byte(n))
	for range n - 1 {
		b = append(b, 255)
	}
	b = append(b, byte(len(packet)%255))
	b = append(b, packet...)
	binary.LittleEndian.PutUint32(b[22:], oggCRC(b))
	return b
}

const (
	vorbisHead = "\x01vorbis\x00\x00\x00\x00\x02\x44\xAC\x00\x00\x00\x00\x00\x00\x00\xEE\x02\x00\x00\x00\x00\x00\xB8\x01"
	theoraHead = "\x80theora\x03\x02\x01 and so on"
	opusHead   = "OpusHead\x01\x01\x38\x01\x40\x1F\x00\x00\x00\x00\x00"
)

func TestOggIsProvedByItsPages(t *testing.T) {
	next := page(0, "comments")
	long := page(0, string(make([]byte, 60_000)))
	for name, test := range map[string]struct {
		b          []byte
		typ, codec string
	}{
		"Vorbis":        {slices.Concat(page(2, vorbisHead), next), "audio/ogg", "vorbis"},
		"Opus":          {slices.Concat(page(2, opusHead), next), "audio/ogg", "opus"},
		"long comments": {slices.Concat(page(2, opusHead), long), "audio/ogg", "opus"},
		"picture first": {slices.Concat(page(2, theoraHead), page(2, vorbisHead), next), "video/ogg", "vorbis"},
		"sound first":   {slices.Concat(page(2, vorbisHead), page(2, theoraHead), next), "video/ogg", "vorbis"},
		"index first":   {slices.Concat(page(2, "fishead\x00"), page(2, vorbisHead), next), "audio/ogg", "vorbis"},
	} {
		if f, err := identify(t, test.b); err != nil || f.Type != test.typ || f.Codec != test.codec {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestOggWithoutAProofIsRefused(t *testing.T) {
	head, next := page(2, opusHead), page(0, "comments")
	damaged := slices.Clone(head)
	damaged[40] ^= 1
	for name, test := range map[string]struct {
		b    []byte
		want error
	}{
		"damaged page":     {slices.Concat(damaged, next), ErrUnrecognized},
		"no second page":   {append(slices.Clone(head), randomBytes(1000)...), ErrUnrecognized},
		"unknown codec":    {slices.Concat(page(2, "whatever"), next), ErrUnrecognized},
		"no sample rate":   {slices.Concat(page(2, vorbisHead[:12]+"\x00\x00\x00\x00"+vorbisHead[16:]), next), ErrUnrecognized},
		"too many streams": {slices.Concat(head, head, head, head, head, head, head, head, head, head), ErrUnrecognized},
		"nothing recorded": {head, ErrEmpty},
	} {
		if f, err := identify(t, test.b); !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}
