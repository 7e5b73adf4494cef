package server

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"storagesrv/metadata"
	"storagesrv/storage"
)

// A partFile is a storage.File of a recording at the recorder, of which it asks for
// the parts that are read. All are of one version, as far as that can be told.
//
// What is read in a row is one answer of the recorder's, if its reader keeps up. The
// recorder has few threads: one that pauses gives up the answer, and asks anew.
type partFile struct {
	ctx     context.Context // of the request: Read has no other place for it
	end     context.CancelFunc
	ask     func(context.Context, *metadata.Part) (*metadata.Download, error)
	size    int64
	version metadata.Validator
	head    []byte // the beginning, which is there already

	// mu guards what is below. It is held while an answer is read: end ends that.
	mu     sync.Mutex
	offset int64         // of the next Read
	until  int64         // where reading is expected to stop
	answer io.ReadCloser // nil if there is none
	at     int64         // the offset of the next byte of answer
	broken int           // answers that ended early
	read   time.Time     // when answer was last read
	idle   *time.Timer   // of a reader that pauses; nil if there was no answer
	closed bool
}

// pause is how long a reader may take for what it was given, if there is a
// version by which to go on.
const pause = 5 * time.Second

// mostBroken is how many answers may break before the file does, if there is a
// version by which to go on.
const mostBroken = 3

// newPartFile returns a file whose first bytes are head, and came with d.
func newPartFile(ctx context.Context, d *metadata.Download, head []byte,
	ask func(context.Context, *metadata.Part) (*metadata.Download, error)) *partFile {
	ctx, end := context.WithCancel(ctx)
	return &partFile{ctx: ctx, end: end, ask: ask, size: d.Size, until: d.Size, version: d.Validator, head: head}
}

// prepare asks for what r asks for, so that an answer that is of no use shows
// before the header is written.
func (f *partFile) prepare(r *http.Request) error {
	if r.Method == http.MethodHead || r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Modified-Since") != "" {
		return nil
	}
	first, end, ok := soleRange(r, f.size)
	first = max(first, int64(len(f.head)))
	if !ok || first >= end {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.until = end
	return f.open(first)
}

// soleRange returns where the only range that r asks for begins and ends. Without
// a range that is the whole.
func soleRange(r *http.Request, size int64) (first, end int64, ok bool) {
	given := r.Header.Get("Range")
	if given == "" {
		return 0, size, true
	}
	spec, _ := strings.CutPrefix(given, "bytes=")
	from, to, found := strings.Cut(strings.TrimSpace(spec), "-")
	last, err := strconv.ParseInt(to, 10, 64)
	if !found || err != nil && to != "" {
		return 0, 0, false
	}
	if from == "" { // the last bytes
		return max(0, size-last), size, to != ""
	}
	first, err = strconv.ParseInt(from, 10, 64)
	if err != nil || to != "" && last < first {
		return 0, 0, false
	}
	if to == "" || last >= size {
		last = size - 1
	}
	return first, last + 1, true
}

// Expect tells that n bytes will be read from here on.
func (f *partFile) Expect(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.until = min(f.offset+n, f.size)
}

func (f *partFile) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return 0, fs.ErrClosed
	case len(p) == 0:
		return 0, nil
	case f.offset >= f.size:
		return 0, io.EOF
	case f.offset < int64(len(f.head)):
		n := copy(p, f.head[f.offset:])
		f.offset += int64(n)
		return n, nil
	}
	for {
		if f.answer == nil || f.at != f.offset {
			if err := f.open(f.offset); err != nil {
				return 0, err
			}
		}
		n, again, err := f.readAnswer(p)
		if !again {
			return n, err
		}
	}
}

// readAnswer reads what is there of the answer. It is to be called again if that
// was nothing and another answer may be more. f.mu is held.
func (f *partFile) readAnswer(p []byte) (n int, again bool, err error) {
	n, err = f.answer.Read(p)
	f.at += int64(n)
	f.offset += int64(n)
	if err == nil {
		f.watch()
		return n, false, nil
	}
	f.drop()
	if err != io.EOF {
		if f.broken++; f.broken > mostBroken || f.version.IsZero() || !errors.Is(err, metadata.ErrUnavailable) {
			return n, false, err
		}
	}
	return n, n == 0, nil
}

// open asks for what follows at an offset. f.mu is held.
func (f *partFile) open(offset int64) error {
	f.drop()
	until := f.until
	if until <= offset {
		until = f.size
	}
	d, err := f.part(offset, until-offset)
	if err != nil {
		return err
	}
	f.answer, f.at = d.Body, offset
	f.watch()
	return nil
}

// part asks for n bytes, and checks that they are of this file.
func (f *partFile) part(offset, n int64) (*metadata.Download, error) {
	d, err := f.ask(f.ctx, &metadata.Part{First: offset, Last: offset + n - 1, Of: f.version})
	if err != nil {
		return nil, err
	}
	switch {
	case !d.IsPart:
		err = metadata.ErrWrongRange
	case d.Size != f.size:
		err = metadata.ErrChanged
	}
	if err != nil {
		d.Body.Close()
		return nil, err
	}
	return d, nil
}

// watch makes a reader that pauses give up the answer. f.mu is held.
func (f *partFile) watch() {
	f.read = time.Now()
	switch {
	case f.version.IsZero(): // another answer might be of another version
	case f.idle == nil:
		f.idle = time.AfterFunc(pause, f.giveUp)
	default:
		f.idle.Reset(pause)
	}
}

func (f *partFile) giveUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.read) >= pause {
		f.drop()
	}
}

// drop closes the answer. f.mu is held.
func (f *partFile) drop() {
	if f.answer != nil {
		f.answer.Close() // returns nothing of use
		f.answer = nil
	}
	if f.idle != nil {
		f.idle.Stop()
	}
}

// ReadAt asks for p alone.
func (f *partFile) ReadAt(p []byte, offset int64) (int, error) {
	switch {
	case offset < 0:
		return 0, fs.ErrInvalid
	case offset >= f.size:
		return 0, io.EOF
	}
	wanted := p[:min(int64(len(p)), f.size-offset)]
	n, err := f.readPart(wanted, offset)
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

func (f *partFile) readPart(p []byte, offset int64) (int, error) {
	if offset+int64(len(p)) <= int64(len(f.head)) {
		return copy(p, f.head[offset:]), nil
	}
	d, err := f.part(offset, int64(len(p)))
	if err != nil {
		return 0, err
	}
	defer d.Body.Close()
	return io.ReadFull(d.Body, p)
}

// Seek is io.Seeker's.
func (f *partFile) Seek(offset int64, whence int) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	to, err := storage.Seek(offset, whence, f.offset, f.size)
	if err != nil {
		return 0, err
	}
	f.offset = to
	return to, nil
}

// Stat is fs.File's; nobody asks for more than is known already.
func (f *partFile) Stat() (fs.FileInfo, error) { return nil, errors.ErrUnsupported }

// Close ends what is under way.
func (f *partFile) Close() error {
	f.end()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.drop()
	return nil
}
