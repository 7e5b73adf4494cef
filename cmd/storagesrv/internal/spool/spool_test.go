package spool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"storagesrv/cmd/storagesrv/internal/spool"
	"storagesrv/storage/storagetest"
)

func TestMain(m *testing.M) {
	if os.Getenv(fillForEver) != "" {
		keepFilling()
	}
	storagetest.Main(m)
}

const mib = 1 << 20

func newSpool(t *testing.T, size int64) *spool.Spool {
	t.Helper()
	s, err := spool.New(spool.Config{Dir: t.TempDir(), Size: size})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// A body is a source that can be seen to be closed.
type body struct {
	io.Reader
	closed chan struct{}
	once   sync.Once
}

func newBody(r io.Reader) *body { return &body{Reader: r, closed: make(chan struct{})} }

func (b *body) Close() error {
	b.once.Do(func() {
		close(b.closed)
		if pipe, ok := b.Reader.(*io.PipeReader); ok {
			pipe.Close()
		}
	})
	return nil
}

func (b *body) isClosed() bool {
	select {
	case <-b.closed:
		return true
	default:
		return false
	}
}

// random returns bytes that differ from their neighbours.
func random(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i>>8 ^ i*7)
	}
	return data
}

func source(data []byte) spool.Source {
	return spool.Source{Body: newBody(bytes.NewReader(data)), Size: int64(len(data))}
}

func TestACopyReadsLikeItsSource(t *testing.T) {
	data := random(40_000)
	for name, size := range map[string]int64{"size known": int64(len(data)), "size not known": -1} {
		t.Run(name, func(t *testing.T) {
			s := newSpool(t, 10*mib)
			b := newBody(iotest.HalfReader(bytes.NewReader(data)))
			f := s.Fill(t.Context(), "a", spool.Source{Body: b, Size: size, ETag: `"v1"`, Modified: time.Unix(1e9, 0)})
			defer f.Close()
			if err := iotest.TestReader(f, data); err != nil {
				t.Error(err)
			}
			if n, err := f.Size(); n != int64(len(data)) || err != nil {
				t.Errorf("size %d, %v", n, err)
			}
			if f.ETag() != `"v1"` || !f.Modified().Equal(time.Unix(1e9, 0)) {
				t.Errorf("%s %v", f.ETag(), f.Modified())
			}
			if info, err := f.Stat(); err != nil || info.Size() != int64(len(data)) {
				t.Errorf("%v %v", info, err)
			}
			<-b.closed
		})
	}
}

func TestACopyCanBeReadWhileItComes(t *testing.T) {
	s := newSpool(t, mib)
	r, w := io.Pipe()
	f := s.Fill(t.Context(), "a", spool.Source{Body: newBody(r), Size: 10})
	defer f.Close()
	w.Write([]byte("abcde"))
	p := make([]byte, 10)
	if n, err := f.Read(p); string(p[:n]) != "abcde"[:n] || n == 0 || err != nil {
		t.Errorf("%q %v", p[:n], err)
	}
	read := make(chan string)
	go func() {
		n, err := f.ReadAt(p, 5)
		read <- fmt.Sprint(string(p[:n]), err)
	}()
	w.Write([]byte("fghij"))
	w.Close()
	if got := <-read; got != "fghijEOF" {
		t.Error(got)
	}
}

func TestReadersShareACopy(t *testing.T) {
	s := newSpool(t, mib)
	data := random(100_000)
	if f := s.Open(t.Context(), "a"); f != nil {
		t.Error("there is a copy already")
	}
	first := s.Fill(t.Context(), "a", source(data))
	unneeded := newBody(strings.NewReader("other"))
	second := s.Fill(t.Context(), "a", spool.Source{Body: unneeded, Size: 5})
	third := s.Open(t.Context(), "a")
	if !unneeded.isClosed() {
		t.Error("what is not needed is open")
	}
	var wg sync.WaitGroup
	for _, f := range []*spool.File{first, second, third} {
		wg.Go(func() {
			defer f.Close()
			if got, err := io.ReadAll(f); !bytes.Equal(got, data) || err != nil {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	s := newSpool(t, mib)
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	f := s.Fill(ctx, "a", spool.Source{Body: newBody(r), Size: -1})
	defer f.Close()
	other := s.Open(t.Context(), "a")
	defer other.Close()
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := f.Size(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	go func() {
		w.Write([]byte("x"))
		w.Close()
	}()
	if got, err := io.ReadAll(other); string(got) != "x" || err != nil {
		t.Errorf("another reader: %q %v", got, err)
	}
}

func TestACopyStaysForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpool(t, mib)
		s.Fill(t.Context(), "a", source(random(1000))).Close()
		for range 3 {
			time.Sleep(50 * time.Second)
			f := s.Open(t.Context(), "a")
			if f == nil {
				t.Fatal("the copy is gone")
			}
			f.Close()
		}
		if n := s.Bytes(); n != 1000 {
			t.Errorf("%d bytes", n)
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if f := s.Open(t.Context(), "a"); f != nil {
			t.Error("the copy is still there")
		}
		if n := s.Bytes(); n != 0 {
			t.Errorf("%d bytes", n)
		}
	})
}

func TestACopyThatIsOpenedAsItExpiresStays(t *testing.T) {
	s := newSpool(t, mib)
	data := random(1000)
	f := s.Fill(t.Context(), "a", source(data))
	defer f.Close()
	f.Expire()
	if got, err := io.ReadAll(f); !bytes.Equal(got, data) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	f.Expire() // complete
	if got, err := f.ReadAt(make([]byte, 1000), 0); got != 1000 || err != nil {
		t.Errorf("complete: %d bytes, %v", got, err)
	}
	if again := s.Open(t.Context(), "a"); again == nil {
		t.Error("it is gone for others")
	} else {
		again.Close()
	}
}

func TestSeek(t *testing.T) {
	s := newSpool(t, mib)
	f := s.Fill(t.Context(), "a", spool.Source{Body: newBody(strings.NewReader("abcdef")), Size: -1})
	defer f.Close()
	for _, c := range []struct {
		offset int64
		whence int
		want   int64 // -1: refused, and the position stays
	}{
		{4, io.SeekStart, 4}, {-1, io.SeekCurrent, 3}, {-4, io.SeekCurrent, -1}, {1, 3, -1}, {1, -1, -1}, {0, io.SeekCurrent, 3},
		{-2, io.SeekEnd, 4}, {-7, io.SeekEnd, -1}, {-1, io.SeekStart, -1}, {0, io.SeekCurrent, 4}, {10, io.SeekEnd, 16},
	} {
		at, err := f.Seek(c.offset, c.whence)
		if c.want < 0 {
			if !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%d from %d: at %d, %v", c.offset, c.whence, at, err)
			}
		} else if at != c.want || err != nil {
			t.Errorf("%d from %d: at %d, %v, not %d", c.offset, c.whence, at, err, c.want)
		}
	}
}

func TestACopyThatNobodyReadsIsNotCompleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpool(t, mib)
		r, w := io.Pipe()
		b := newBody(r)
		f := s.Fill(t.Context(), "a", spool.Source{Body: b, Size: 100})
		w.Write([]byte("abc"))
		f.Close()
		time.Sleep(2 * time.Second)
		again := s.Open(t.Context(), "a") // as players do who seek
		if again == nil {
			t.Fatal("the copy is gone")
		}
		time.Sleep(time.Hour)
		if b.isClosed() {
			t.Fatal("it was ended although it is read")
		}
		again.Close()
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if !b.isClosed() || s.Bytes() != 0 || s.Open(t.Context(), "a") != nil {
			t.Errorf("closed %t, %d bytes", b.isClosed(), s.Bytes())
		}
	})
}

func TestAReaderThatIsSlowHoldsItsCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpool(t, mib)
		data := random(1000)
		f := s.Fill(t.Context(), "a", source(data))
		defer f.Close()
		time.Sleep(time.Hour)
		if got, err := io.ReadAll(f); !bytes.Equal(got, data) || err != nil {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}

func TestWhatFailsIsForItsReadersAlone(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		body io.Reader
		size int64
		want error
	}{
		"an error":     {io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)), 10, broken},
		"an early end": {strings.NewReader("abc"), 10, io.ErrUnexpectedEOF},
		"no size":      {io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)), -1, broken},
	} {
		s := newSpool(t, mib)
		b := newBody(c.body)
		f := s.Fill(t.Context(), "a", spool.Source{Body: b, Size: c.size})
		got, err := io.ReadAll(f)
		if string(got) != "abc" || !errors.Is(err, c.want) {
			t.Errorf("%s: %q %v", name, got, err)
		}
		<-b.closed
		f.Close()
		if again := s.Open(t.Context(), "a"); again != nil || s.Bytes() != 0 {
			t.Errorf("%s: it is still there, %d bytes", name, s.Bytes())
		}
	}
}

func TestMoreThanWasSaidIsAnError(t *testing.T) {
	s := newSpool(t, mib)
	f := s.Fill(t.Context(), "a", spool.Source{Body: newBody(strings.NewReader("abcdef")), Size: 3})
	defer f.Close()
	if got, err := io.ReadAll(f); err == nil {
		t.Errorf("%q", got)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	dir := t.TempDir()
	s, err := spool.New(spool.Config{Dir: dir, Size: mib})
	if err != nil {
		t.Fatal(err)
	}
	s.KeepNames()
	r, _ := io.Pipe()
	coming := s.Fill(t.Context(), "a", spool.Source{Body: newBody(r), Size: 100})
	there := s.Fill(t.Context(), "b", source(random(100)))
	if _, err := io.ReadAll(there); err != nil {
		t.Fatal(err)
	}
	s.Close()
	late := s.Fill(t.Context(), "c", source(random(100)))
	for name, f := range map[string]*spool.File{"coming": coming, "there": there, "late": late} {
		if _, err := f.ReadAt(make([]byte, 1), 0); err == nil {
			t.Errorf("%s can be read", name)
		}
		f.Close()
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 || s.Bytes() != 0 {
		t.Errorf("left: %s, %d bytes", left, s.Bytes())
	}
}

func TestADirectoryThatTakesNoFilesIsAnError(t *testing.T) {
	for _, dir := range []string{filepath.Join(t.TempDir(), "missing"), os.Args[0], os.DevNull} {
		if _, err := spool.New(spool.Config{Dir: dir, Size: mib}); err == nil {
			t.Errorf("%s", dir)
		}
	}
}
