package spool_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"storagesrv/cmd/storagesrv/internal/spool"
)

func wantFull(t *testing.T, f *spool.File) {
	t.Helper()
	defer f.Close()
	if _, err := io.ReadAll(f); !errors.Is(err, spool.ErrFull) {
		t.Errorf("error %v", err)
	}
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	s := newSpool(t, 2*mib)
	open := s.Fill(t.Context(), "a", source(random(mib)))
	wantFull(t, s.Fill(t.Context(), "b", source(random(2*mib))))
	wantFull(t, s.Fill(t.Context(), "c", source(random(3*mib))))
	wantFull(t, s.Fill(t.Context(), "d", spool.Source{Body: newBody(bytes.NewReader(random(3 * mib))), Size: -1}))
	fits := s.Fill(t.Context(), "e", source(random(mib)))
	defer fits.Close()
	if got, err := io.ReadAll(fits); len(got) != mib || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	open.Close()
}

func TestRoomIsMadeByWhatWasReadLongestAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpool(t, 3*mib)
		for _, key := range []string{"a", "b", "c"} {
			f := s.Fill(t.Context(), key, source(random(mib)))
			io.ReadAll(f)
			f.Close()
			time.Sleep(time.Second)
		}
		again := s.Open(t.Context(), "a")
		again.Close()
		time.Sleep(time.Second)
		held := s.Open(t.Context(), "b") // the longest idle until now
		f := s.Fill(t.Context(), "d", source(random(mib)))
		defer f.Close()
		if got, err := io.ReadAll(f); len(got) != mib || err != nil {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		held.Close()
		for key, want := range map[string]bool{"a": true, "b": true, "c": false, "d": true} {
			f := s.Open(t.Context(), key)
			if f != nil {
				f.Close()
			}
			if (f != nil) != want {
				t.Errorf("%s is there: %t", key, f != nil)
			}
		}
	})
}

// A copy that cannot fit in any case, or that fits if it reserves less ahead, costs
// no other its place.
func TestNoRoomIsMadeInVain(t *testing.T) {
	for name, c := range map[string]struct {
		source spool.Source
		fits   bool
	}{
		"larger than the spool":                 {source(random(3 * mib)), false},
		"of a size that nobody knows, and fits": {spool.Source{Body: newBody(bytes.NewReader(random(mib + 100_000))), Size: -1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpool(t, 3*mib/2)
			idle := s.Fill(t.Context(), "idle", source(random(100_000)))
			io.ReadAll(idle)
			idle.Close()
			f := s.Fill(t.Context(), "a", c.source)
			if c.fits {
				defer f.Close()
				if _, err := io.ReadAll(f); err != nil {
					t.Error(err)
				}
			} else {
				wantFull(t, f)
			}
			if again := s.Open(t.Context(), "idle"); again == nil {
				t.Error("what was there is gone")
			} else {
				again.Close()
			}
		})
	}
}

// TestTheBoundHolds has many readers of many recordings, sizes known or not, and
// looks at the files meanwhile.
func TestTheBoundHolds(t *testing.T) {
	const bound = 3 * mib
	dir := t.TempDir()
	s, err := spool.New(spool.Config{Dir: dir, Size: bound, Keep: time.Millisecond, Linger: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.KeepNames() // so that the files can be seen
	var readers sync.WaitGroup
	var full, read atomic.Int64
	for reader := range 16 {
		readers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(reader), 1))
			for range 25 {
				switch n, err := readSome(t, s, random); {
				case errors.Is(err, spool.ErrFull):
					full.Add(1)
				case err != nil:
					t.Error(err)
				default:
					read.Add(n)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		readers.Wait()
		close(done)
	}()
	most, tick := int64(0), time.Tick(time.Millisecond)
	for watching := true; watching; {
		most = max(most, sizeOf(dir))
		if reserved := s.Bytes(); reserved > bound {
			t.Errorf("%d bytes reserved", reserved)
		}
		select {
		case <-done:
			watching = false
		case <-tick:
		}
	}
	if most > bound {
		t.Errorf("%d bytes on disk, %d are allowed", most, bound)
	}
	if most < bound/4 || full.Load() == 0 || read.Load() == 0 {
		t.Errorf("this proves nothing: at most %d bytes on disk, %d refused, %d bytes read", most, full.Load(), read.Load())
	}
}

// readSome reads from somewhere in one of 40 recordings, and checks it.
func readSome(t *testing.T, s *spool.Spool, random *rand.Rand) (int64, error) {
	number := random.IntN(40)
	size := 20_000 * (1 + number)
	data := bytes.Repeat([]byte{byte(number)}, size)
	from := source(data)
	if number%3 == 0 {
		from.Size = -1
	}
	f := s.Fill(t.Context(), fmt.Sprint(number), from)
	defer f.Close()
	if number%5 == 0 && random.IntN(2) == 0 {
		return 0, nil // leaves at once
	}
	p := make([]byte, random.IntN(size)+1)
	n, err := f.ReadAt(p, int64(size-len(p)))
	if err != nil && err != io.EOF {
		return 0, err
	}
	if n != len(p) || !bytes.Equal(p, data[:n]) {
		t.Errorf("recording %d: %d bytes of %d, or others", number, n, len(p))
	}
	return int64(n), nil
}

// sizeOf adds up the files in a directory that were all there at some moment:
// those that are still there when all have been looked at. None gets shorter.
func sizeOf(dir string) (sum int64) {
	sizes := make(map[string]int64)
	for _, file := range filesIn(dir) {
		if info, err := os.Stat(file); err == nil {
			sizes[file] = info.Size()
		}
	}
	for _, file := range filesIn(dir) {
		sum += sizes[file]
	}
	return sum
}

func filesIn(dir string) []string {
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	return files
}

func TestADiskThatTakesNothingIsAFullSpool(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, newFile := range map[string]func() (*os.File, error){
		"no writing": func() (*os.File, error) { return os.Open(file) },
		"no files":   func() (*os.File, error) { return nil, os.ErrPermission },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpool(t, mib)
			s.MakeFilesBy(newFile)
			wantFull(t, s.Fill(t.Context(), "a", source(random(1000))))
			if n := s.Bytes(); n != 0 {
				t.Errorf("%d bytes are spoken for", n)
			}
		})
	}
}

func TestASizeBeyondAllMeasureIsRefused(t *testing.T) {
	s := newSpool(t, mib)
	open := s.Fill(t.Context(), "a", source(random(1000)))
	defer open.Close()
	io.ReadAll(open)
	wantFull(t, s.Fill(t.Context(), "b", spool.Source{Body: newBody(bytes.NewReader(nil)), Size: math.MaxInt64}))
}

func TestASpoolCanBeFilledToTheLastByte(t *testing.T) {
	s := newSpool(t, 100_000)
	data := random(100_000)
	f := s.Fill(t.Context(), "a", spool.Source{Body: newBody(bytes.NewReader(data)), Size: -1})
	defer f.Close()
	if got, err := io.ReadAll(f); !bytes.Equal(got, data) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
