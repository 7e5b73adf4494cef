package media

import "encoding/binary"

func isAVI(head []byte) bool { return isRIFF(head, "AVI ") }

// proveAVI reads the header list and asks for a chunk of media in the list
// that follows it (Microsoft's AVI RIFF file reference).
func proveAVI(w *window) (Format, error) {
	f := Format{Container: "avi", Ext: "avi", Browser: "browsers do not play AVI"}
	for c, err := range w.chunks(12, w.size, binary.LittleEndian) {
		if err != nil {
			return Format{}, err
		}
		kind, err := listKind(w, c)
		switch {
		case err != nil:
			return Format{}, err
		case kind == "hdrl":
			if err := f.readAVIHeader(w, c); err != nil {
				return Format{}, err
			}
		case kind == "movi":
			err := f.proveMovi(w, c)
			return f, err
		case c.size > w.size-c.off:
			return Format{}, unrecognized("its %q chunk is longer than the file", c.id)
		}
	}
	return Format{}, ErrEmpty
}

// listKind returns what a LIST chunk lists, "" for any other chunk.
func listKind(w *window, c chunk) (string, error) {
	if c.id != "LIST" {
		return "", nil
	}
	b, err := w.full(c.off, 4)
	return string(b), err
}

// readAVIHeader reads the stream lists, each with a header strh and a format strf.
func (f *Format) readAVIHeader(w *window, hdrl chunk) error {
	for c, err := range w.chunks(hdrl.off+4, hdrl.off+hdrl.size, binary.LittleEndian) {
		if err != nil {
			return err
		}
		kind, err := listKind(w, c)
		if err != nil {
			return err
		}
		if kind == "strl" {
			if err := f.readAVIStream(w, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *Format) readAVIStream(w *window, strl chunk) error {
	kind := ""
	for c, err := range w.chunks(strl.off+4, strl.off+strl.size, binary.LittleEndian) {
		if err != nil {
			return err
		}
		switch c.id {
		case "strh":
			b, err := w.full(c.off, 4)
			if err != nil {
				return err
			}
			kind = string(b)
		case "strf":
			return f.readAVIFormat(w, c, kind)
		}
	}
	return unrecognized("an AVI stream without a format")
}

func (f *Format) readAVIFormat(w *window, c chunk, kind string) error {
	b, err := w.at(c.off, int(min(c.size, 40)))
	if err != nil {
		return err
	}
	switch kind {
	case "vids":
		if len(b) < 40 || binary.LittleEndian.Uint32(b) < 40 { // BITMAPINFOHEADER
			return unrecognized("an AVI picture format makes no sense")
		}
		f.Type = "video/x-msvideo"
	case "auds":
		wave, ok := parseWaveFormat(b, binary.LittleEndian)
		if !ok {
			return unrecognized("an AVI sound format makes no sense")
		}
		if f.SampleRate == 0 {
			f.Codec, f.SampleRate, f.Channels = wave.streamCodec(), wave.rate, wave.channels
			f.BitRate = wave.average * 8
		}
	}
	return nil
}

// proveMovi asks for a stream's chunk ("01wb"), an index or a group first.
func (f *Format) proveMovi(w *window, movi chunk) error {
	if f.Type == "" && f.SampleRate == 0 {
		return unrecognized("an AVI without sound or picture")
	}
	f.Type = "video/x-msvideo"
	for c, err := range w.chunks(movi.off+4, w.size, binary.LittleEndian) {
		switch {
		case err != nil:
			return err
		case c.id == "JUNK":
			continue
		case c.id == "LIST", c.id[:2] == "ix", isDigit(c.id[0]) && isDigit(c.id[1]):
			return nil
		}
		return unrecognized("its AVI chunks do not chain")
	}
	return ErrEmpty
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
