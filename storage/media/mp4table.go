package media

import "slices"

// maxSizes is how many samples of a track are looked at.
const maxSizes = 64

// A run is samples of one track, one after the other.
type run struct {
	off   int64
	count int64   // of samples; 0 = none are recorded
	sizes []int64 // of the first samples, in bytes; at least one if count > 0
}

// startsIn reports whether data has the first sample of r whole.
func (r run) startsIn(data chunk) bool {
	end := data.off + data.size
	return r.count > 0 && data.off <= r.off && r.off <= end && r.sizes[0] <= end-r.off
}

// A table is what a sample table, stbl, tells of the first samples (ISO/IEC
// 14496-12, sections 8.6 and 8.7).
type table struct {
	samples  int64
	sizes    []int64 // of the first samples
	chunks   int64
	off      int64 // of the first chunk
	perChunk int64 // samples in it
}

// run returns the samples in the first chunk.
func (t table) run() (run, error) {
	switch {
	case t.samples == 0:
		return run{}, nil
	case len(t.sizes) == 0 || t.chunks == 0:
		return run{}, unrecognized("an MP4 sample table makes no sense")
	}
	n := max(1, min(t.samples, t.perChunk))
	return run{off: t.off, count: n, sizes: t.sizes[:min(n, int64(len(t.sizes)))]}, nil
}

// read reads c if it is a box of the table's.
func (t *table) read(w *window, c chunk) error {
	f, err := w.fields(c, 12+4*maxSizes)
	if err != nil {
		return err
	}
	switch c.id {
	case "stsz", "stz2":
		t.readSizes(f, c.id == "stz2")
	case "stsc": // entries are: first chunk, samples per chunk, description
		f.version()
		if f.next(4) > 0 {
			f.next(4)
			t.perChunk = int64(f.next(4))
		}
	case "stco", "co64":
		f.version()
		width := 4
		if c.id == "co64" {
			width = 8
		}
		if t.chunks = int64(f.next(4)); t.chunks > 0 {
			t.off = int64(f.next(width))
		}
	}
	return f.err()
}

// readSizes reads the sizes of up to maxSizes samples: one for all, or one
// each, of 4, 8 or 16 bits in the compact form.
func (t *table) readSizes(f *fields, compact bool) {
	f.version()
	size, bits := int64(f.next(4)), 32
	if compact {
		size, bits = 0, int(size&0xFF)
	}
	t.samples = int64(f.next(4))
	n := int(min(t.samples, maxSizes))
	switch {
	case size > 0:
		t.sizes = slices.Repeat([]int64{size}, n)
	case bits == 4:
		for len(t.sizes) < n && !f.cut {
			pair := int64(f.next(1))
			t.sizes = append(t.sizes, pair>>4, pair&15)
		}
	case bits == 8, bits == 16, bits == 32:
		for len(t.sizes) < n && !f.cut {
			t.sizes = append(t.sizes, int64(f.next(bits/8)))
		}
	}
}
