package media

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

// A fragment is written by its tfhd and trun, whose places count from the
// start of moof.
func fragment(tfhd, trun []byte, data []byte) []byte {
	return append(box("moof", box("mfhd", numbers(0, 1)), box("traf", box("tfhd", tfhd), box("trun", trun))), box("mdat", data)...)
}

func fragmentedFile(trexSize int, fragments ...[]byte) []byte {
	init := box("moov", trakOf(nil, "vide", "avc1"), box("mvex", box("trex", numbers(0, 1, 1, 0, trexSize, 0))))
	return slices.Concat(ftyp("iso6"), init, slices.Concat(fragments...))
}

func TestMP4FragmentsAreFoundByEveryKindOfHeader(t *testing.T) {
	data := append(nal(16), nal(40)...)
	start := len(fragmentedFile(20)) // of the first fragment
	base := func(at int) []byte { return binary.BigEndian.AppendUint64(numbers(1, 1), uint64(at)) }
	place := func(n int) int { return len(fragment(make([]byte, n), make([]byte, 12), nil)) }
	for name, test := range map[string]struct {
		tfhd, trun []byte
		size       int
		want       error
	}{
		"size of the track":        {numbers(0x020000, 1), numbers(1, 1, place(8)), 20, nil},
		"size of the fragment":     {numbers(0x020010, 1, 20), numbers(1, 1, place(12)), 7, nil},
		"all of tfhd":              {numbers(0x02001A, 1, 1, 1024, 20), numbers(1, 1, place(20)), 7, nil},
		"from the first moof":      {numbers(0, 1), numbers(1, 1, place(8)), 20, nil},
		"from a stated place":      {base(start), numbers(1, 1, place(16)), 20, nil},
		"without an offset":        {base(start + place(16) - 4), numbers(0, 1), 20, nil},
		"size of the sample":       {numbers(0x020000, 1), numbers(0xF05, 1, place(8)+20, 0, 1024, 20, 0, 0), 7, nil},
		"another size":             {numbers(0x020000, 1), numbers(1, 1, place(8)), 30, ErrUnrecognized},
		"longer than the data":     {numbers(0x020000, 1), numbers(1, 1, place(8)), 65, ErrUnrecognized},
		"outside of the data":      {numbers(0x020000, 1), numbers(1, 1, 0), 20, ErrUnrecognized},
		"before the file":          {numbers(0x020000, 1), numbers(1, 1, -start-1), 20, ErrUnrecognized},
		"a place beyond all":       {binary.BigEndian.AppendUint64(numbers(1, 1), 1<<63-1), numbers(1, 1, 1), 20, ErrUnrecognized},
		"another track's":          {numbers(0x020000, 2), numbers(1, 1, place(8)), 20, ErrEmpty},
		"no samples":               {numbers(0x020000, 1), numbers(1, 0, place(8)), 20, ErrEmpty},
		"more samples than stated": {numbers(0x020000, 1), numbers(0x201, 3, place(8), 20), 20, ErrUnrecognized},
		"cut header":               {numbers(0x020010, 1), numbers(1, 1, place(8)), 20, ErrUnrecognized},
	} {
		if f, err := identify(t, fragmentedFile(test.size, fragment(test.tfhd, test.trun, data))); !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

// TestMP4FragmentsAreEnoughWithOneTrack has sound in the index that no
// fragment has, however many there are.
func TestMP4FragmentsAreEnoughWithOneTrack(t *testing.T) {
	extends := box("mvex", box("trex", numbers(0, 1, 1, 0, 20, 0)))
	sound := trakOf(nil, "soun", "mp4a")
	binary.BigEndian.PutUint32(sound[28:], 2) // its number
	init := append(ftyp("iso6"), box("moov", trakOf(nil, "vide", "avc1"), sound, extends)...)
	one := fragment(numbers(0x020000, 1), numbers(1, 1, 76), nal(16))
	for _, count := range []int{1, 3, 200} {
		if f, err := identify(t, append(init, slices.Repeat(one, count)...)); err != nil {
			t.Errorf("%d fragments: %+v, %v", count, f, err)
		}
	}
}
