package media

// readTrack reads one track of the index, of sound and picture in full.
func readTrack(w *window, trak chunk) (track, error) {
	var t track
	tkhd, err := w.find(trak, "tkhd")
	if err != nil {
		return t, err
	}
	if t.number, err = readNumber(w, tkhd); err != nil {
		return t, err
	}
	mdia, err := w.find(trak, "mdia")
	if err != nil {
		return t, err
	}
	hdlr, err := w.find(mdia, "hdlr")
	if err != nil {
		return t, err
	}
	b, err := w.full(hdlr.off, 12)
	if err != nil {
		return t, err
	}
	t.handler = string(b[8:12])
	if t.handler != "soun" && t.handler != "vide" {
		return t, nil
	}
	stbl, err := w.find(mdia, "minf", "stbl")
	if err != nil {
		return t, err
	}
	err = t.readSampleTable(w, stbl)
	return t, err
}

func readNumber(w *window, tkhd chunk) (uint64, error) {
	f, err := w.fields(tkhd, 24)
	if err != nil {
		return 0, err
	}
	version, _ := f.version()
	f.next(8) // when it was made and changed
	f.nextIf(version == 1, 8)
	n := f.next(4)
	return n, f.err()
}

// readSampleTable reads how the samples are coded and where the first ones
// are, in one go: the boxes may be far apart.
func (t *track) readSampleTable(w *window, stbl chunk) error {
	var samples table
	described := false
	for c, err := range w.boxes(stbl.off, stbl.off+stbl.size) {
		if err != nil {
			return err
		}
		switch c.id {
		case "stsd":
			described, err = true, t.readDescription(w, c)
		case "stsz", "stz2", "stsc", "stco", "co64":
			err = samples.read(w, c)
		}
		if err != nil {
			return err
		}
	}
	if !described {
		return unrecognized("an MP4 track without stsd")
	}
	var err error
	t.first, err = samples.run()
	return err
}
