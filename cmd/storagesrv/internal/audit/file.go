package audit

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
)

// A file is a sink. It notices when it is moved away or removed, and then
// begins a new one.
type file struct {
	path string
	sync bool // to the disk, before a line counts as written
	log  *slog.Logger

	open *os.File    // nil: to be opened
	info fs.FileInfo // as it was opened
	torn bool        // it ends in the middle of a line
}

var _ sink = (*file)(nil)

// errRemoved: the file was removed while it was written to.
var errRemoved = errors.New("the audit file is removed again and again")

func (f *file) write(lines []byte) (int, error) {
	for range 2 {
		if err := f.follow(); err != nil {
			return 0, err
		}
		n, err := f.append(lines)
		if f.sync && n > 0 && f.isRegular() {
			if e := f.open.Sync(); e != nil {
				n, err = 0, e
			}
		}
		removed := f.isRegular() && isRemoved(f.open)
		if err != nil || removed {
			f.close() // and look anew what is there, and how it ends
		}
		if !removed {
			return n, err
		}
	}
	return 0, errRemoved
}

// follow makes sure that what is open is what is called path.
func (f *file) follow() error {
	if f.open != nil && f.isRegular() {
		if info, err := os.Stat(f.path); err != nil || !os.SameFile(info, f.info) {
			f.log.Info("the audit file was moved or removed: it is begun anew", "file", f.path)
			f.close()
		}
	}
	if f.open == nil {
		return f.reopen()
	}
	return nil
}

// append writes lines behind what is there. A torn line is ended first, so that
// it spoils no other.
func (f *file) append(lines []byte) (int, error) {
	n, torn, err := appendLines(f.open, lines, f.torn)
	f.torn = torn
	return n, err
}

func (f *file) reopen() error {
	f.close()
	opened, err := os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	info, err := opened.Stat()
	if err != nil {
		opened.Close()
		return err
	}
	if f.open, f.info = opened, info; f.isRegular() {
		f.torn = info.Size() > 0 && !endsLine(f.path, info)
	}
	return nil
}

// isRegular reports whether it can be looked at how the file ends, and whether
// it is still there. Of pipes and terminals only what we wrote is known.
func (f *file) isRegular() bool { return f.info.Mode().IsRegular() }

// endsLine reports whether the file that info is of ends with a newline, as far
// as it may be read.
func endsLine(path string, info fs.FileInfo) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var last [1]byte
	_, err = f.ReadAt(last[:], info.Size()-1)
	return err == nil && last[0] == '\n'
}

func (f *file) close() error {
	if f.open == nil {
		return nil
	}
	opened := f.open
	f.open = nil
	return opened.Close()
}

// A stream is a sink that cannot be reopened, such as standard output.
type stream struct {
	w    io.Writer
	torn bool // it ends in the middle of a line
}

var _ sink = (*stream)(nil)

func (s *stream) write(lines []byte) (int, error) {
	n, torn, err := appendLines(s.w, lines, s.torn)
	s.torn = torn
	return n, err
}

func (s *stream) reopen() error { return nil }
func (s *stream) close() error  { return nil }

// appendLines writes lines to w, after a newline if w ends in a torn line. It
// returns how many bytes of them it wrote, and whether w ends in a torn line now.
func appendLines(w io.Writer, lines []byte, torn bool) (int, bool, error) {
	before := 0
	if torn {
		lines, before = append([]byte{'\n'}, lines...), 1
	}
	n, err := w.Write(lines)
	if n > 0 {
		torn = lines[n-1] != '\n'
	}
	return max(n-before, 0), torn, err
}
