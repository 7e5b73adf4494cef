package media

import "slices"

// A movie is what the boxes of an MP4 have told so far.
type movie struct {
	found     tracks
	extends   []extension // by track, where fragments follow the index
	data      []chunk     // the mdat boxes
	fragments int
	proved    []*track
}

// maxFragments is how many fragments are looked at for the first samples of a
// track. Most hold some of every track, some are of one track each.
const maxFragments = 4

// proveMP4 walks the top-level boxes until the index, moov, has told the
// tracks, and the first samples of each were found within media data, mdat.
// Either box may come first. The index of a fragmented file has no samples:
// each of its fragments, moof, has an index of its own.
func proveMP4(w *window) (Format, error) {
	var m movie
	for c, err := range w.boxes(0, w.size) {
		if err != nil {
			return Format{}, err
		}
		if c.off == 8 && (c.size < 8 || c.size > 1<<10 || c.size%4 != 0) {
			return Format{}, unrecognized("its MP4 file type makes no sense")
		}
		if err := m.read(w, c); err != nil {
			return Format{}, err
		}
		if m.done() {
			break
		}
	}
	if err := m.missing(); err != nil {
		return Format{}, err
	}
	return m.found.format(string(w.head[8:12])), nil
}

func (m *movie) read(w *window, c chunk) (err error) {
	switch {
	case c.id == "mdat":
		m.data = append(m.data, c)
	case c.id == "moov" && m.found.none():
		err = m.readIndex(w, c)
	case c.id == "moof":
		err = m.readFragment(w, c)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	return m.prove(w)
}

func (m *movie) readIndex(w *window, moov chunk) error {
	for c, err := range w.boxes(moov.off, moov.off+moov.size) {
		if err != nil {
			return err
		}
		switch c.id {
		case "pssh":
			return &EncryptedError{Scheme: "MPEG Common Encryption"}
		case "mvex":
			err = m.readExtensions(w, c)
		case "trak":
			var t track
			t, err = readTrack(w, c)
			m.found.add(t)
		}
		if err != nil {
			return err
		}
	}
	if m.found.none() {
		return unrecognized("an MP4 without sound or picture")
	}
	return nil
}

// prove checks the tracks whose first sample is within the data seen so far.
func (m *movie) prove(w *window) error {
	for _, t := range m.found.both() {
		if slices.Contains(m.proved, t) || !slices.ContainsFunc(m.data, t.first.startsIn) {
			continue
		}
		if err := t.prove(w, t.first); err != nil {
			return err
		}
		m.proved = append(m.proved, t)
	}
	return nil
}

// done reports whether nothing more is to be found out.
func (m *movie) done() bool {
	for _, t := range m.found.both() {
		recorded := t.first.count > 0
		awaited := len(m.extends) > 0 && m.fragments < maxFragments
		if !slices.Contains(m.proved, t) && (recorded || awaited) {
			return false
		}
	}
	return len(m.proved) > 0
}

// missing says what there is not, at the end of the walk.
func (m *movie) missing() error {
	if m.found.none() {
		return unrecognized("an MP4 without its index, as an unfinished one is")
	}
	for _, t := range m.found.both() {
		if t.first.count > 0 && !slices.Contains(m.proved, t) {
			return unrecognized("an MP4 without its media data: no mdat box has the first sample, which is to be at %d", t.first.off)
		}
	}
	if len(m.proved) == 0 {
		return ErrEmpty
	}
	return nil
}
