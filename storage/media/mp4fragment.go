package media

import "slices"

// An extension tells what is true of a track's samples in fragments, unless
// these say something else (box trex).
type extension struct {
	track uint64
	size  int64 // of each sample
}

func (m *movie) readExtensions(w *window, mvex chunk) error {
	for c, err := range w.boxes(mvex.off, mvex.off+mvex.size) {
		if err != nil {
			return err
		}
		if c.id != "trex" {
			continue
		}
		f, err := w.fields(c, 20)
		if err != nil {
			return err
		}
		f.version()
		e := extension{track: f.next(4)}
		f.next(8) // description and duration
		e.size = int64(f.next(4))
		if err := f.err(); err != nil {
			return err
		}
		m.extends = append(m.extends, e)
	}
	return nil
}

// readFragment takes the first samples of the tracks that have none yet from
// a fragment (ISO/IEC 14496-12, section 8.8).
func (m *movie) readFragment(w *window, moof chunk) error {
	m.fragments++
	first := true
	for c, err := range w.boxes(moof.off, moof.off+moof.size) {
		if err != nil {
			return err
		}
		if c.id != "traf" {
			continue
		}
		if err := m.readTrackFragment(w, c, moof.start, first); err != nil {
			return err
		}
		first = false
	}
	return nil
}

// readTrackFragment reads the header, tfhd, and the first run that has
// samples, trun. Their place counts from base, where the fragment starts.
func (m *movie) readTrackFragment(w *window, traf chunk, base int64, first bool) error {
	head, err := w.find(traf, "tfhd")
	if err != nil {
		return err
	}
	f, err := w.fields(head, 28)
	if err != nil {
		return err
	}
	_, flags := f.version()
	t, size := m.awaiting(f.next(4))
	if flags&0x01 != 0 {
		base = int64(f.next(8))
	} else if flags&0x020000 == 0 && !first {
		return nil // counts from the end of the previous track's data, which is not known
	}
	f.nextIf(flags&0x02 != 0, 4) // description
	f.nextIf(flags&0x08 != 0, 4) // duration
	if flags&0x10 != 0 {
		size = int64(f.next(4))
	}
	if err := f.err(); t == nil || err != nil {
		return err
	}
	for c, err := range w.boxes(traf.off, traf.off+traf.size) {
		if err != nil {
			return err
		}
		if c.id != "trun" {
			continue
		}
		if t.first, err = readRun(w, c, base, size); t.first.count > 0 || err != nil {
			return err
		}
	}
	return nil
}

// awaiting returns the track of the given number if no samples of it are known
// yet, and the size that its samples have.
func (m *movie) awaiting(number uint64) (t *track, size int64) {
	for _, e := range m.extends {
		if e.track == number {
			size = e.size
		}
	}
	both := m.found.both()
	i := slices.IndexFunc(both, func(t *track) bool { return t.number == number && t.first.count == 0 })
	if i < 0 {
		return nil, 0
	}
	return both[i], size
}

// readRun reads a trun box. Its samples are size bytes long if it does not say.
func readRun(w *window, c chunk, base, size int64) (run, error) {
	f, err := w.fields(c, 16+16*maxSizes)
	if err != nil {
		return run{}, err
	}
	_, flags := f.version()
	r := run{count: int64(f.next(4))}
	r.off = base + int64(int32(f.nextIf(flags&0x01 != 0, 4)))
	f.nextIf(flags&0x04 != 0, 4) // flags of the first sample
	for len(r.sizes) < int(min(r.count, maxSizes)) && !f.cut {
		f.nextIf(flags&0x100 != 0, 4) // duration
		if flags&0x200 != 0 {
			size = int64(f.next(4))
		}
		f.nextIf(flags&0x400 != 0, 4) // flags
		f.nextIf(flags&0x800 != 0, 4) // composition time
		r.sizes = append(r.sizes, size)
	}
	return r, f.err()
}
