package media

// fields are read one after the other from the start of an MP4 box.
type fields struct {
	b   []byte
	cut bool // more was asked for than there is
}

// fields returns those in the first bytes of c's body, at most n.
func (w *window) fields(c chunk, n int) (*fields, error) {
	b, err := w.at(c.off, int(min(c.size, int64(n))))
	return &fields{b: b}, err
}

// next reads an unsigned number of n bytes, up to 8.
func (f *fields) next(n int) uint64 {
	if len(f.b) < n {
		f.b, f.cut = nil, true
		return 0
	}
	v := bigEndian(f.b[:n])
	f.b = f.b[n:]
	return v
}

// nextIf reads a field that is there only if a flag says so, else gives 0.
func (f *fields) nextIf(present bool, n int) uint64 {
	if !present {
		return 0
	}
	return f.next(n)
}

// version reads what most boxes start with: 8 bits of version, 24 of flags.
func (f *fields) version() (version byte, flags uint32) {
	v := uint32(f.next(4))
	return byte(v >> 24), v & 0xFFFFFF
}

func (f *fields) err() error {
	if f.cut {
		return unrecognized("an MP4 box is too short")
	}
	return nil
}
