package sftp_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/sftp"
	"storagesrv/storage/sftp/sftptest"
)

// ways are what reads a recording: a store alone, and as the program uses it.
var ways = map[string]func(testing.TB, storage.Store) storage.Store{
	"bare":    func(_ testing.TB, store storage.Store) storage.Store { return store },
	"stacked": stacked,
}

// isExact returns what is wrong with how store reads a recording: piece by
// piece, at once, and some ranges.
func isExact(store storage.Store, name string, want []byte, ranges int) error {
	file, err := store.Open(context.Background(), name)
	if err != nil {
		return err
	}
	defer file.Close()
	if got, err := io.ReadAll(file); err != nil || !bytes.Equal(got, want) {
		return fmt.Errorf("Read: %d bytes of %d, %w", len(got), len(want), err)
	}
	again, err := store.Open(context.Background(), name)
	if err != nil {
		return err
	}
	defer again.Close()
	got := make([]byte, len(want)+10_000)
	if n, err := again.ReadAt(got, 0); err != io.EOF || !bytes.Equal(got[:n], want) {
		return fmt.Errorf("ReadAt: %d bytes of %d, %w", n, len(want), err)
	}
	random := rand.New(rand.NewPCG(7, uint64(len(want))))
	for range min(ranges, len(want)) {
		from := random.IntN(len(want))
		to := from + 1 + random.IntN(len(want)-from)
		if err := isExactFrom(again, int64(from), want[from:to], random.IntN(2) == 0); err != nil {
			return err
		}
	}
	return nil
}

// isExactFrom is isExact for a range, by ReadAt or not.
func isExactFrom(file storage.File, from int64, want []byte, at bool) (err error) {
	got, n := make([]byte, len(want)), 0
	if at {
		n, err = file.ReadAt(got, from)
	} else if _, err = file.Seek(from, io.SeekStart); err == nil {
		n, err = io.ReadFull(file, got)
	}
	if err != nil && err != io.EOF || !bytes.Equal(got[:n], want) {
		return fmt.Errorf("%d bytes from %d on: %d, %w", len(want), from, n, err)
	}
	return nil
}

func TestOddAnswersCostNoByte(t *testing.T) {
	for name, faults := range map[string]sftptest.Faults{
		"short":                       {MaxRead: 5000},
		"a byte short":                {MaxRead: 32<<10 - 1},
		"out of order":                {Jitter: 5 * time.Millisecond},
		"short and out of order":      {MaxRead: 20_000, Jitter: 5 * time.Millisecond},
		"far away":                    {Latency: 5 * time.Millisecond},
		"less than the limits say":    {Answer: withLimits(255 << 10)},
		"and out of order":            {Answer: withLimits(255 << 10), Jitter: 5 * time.Millisecond},
		"more than a packet holds":    {Answer: withLimits(1 << 20)},
		"limits of nothing":           {Answer: withLimits(0)},
		"limits of a byte":            {Answer: withLimits(1)},
		"limits without end":          {Answer: withLimits(1<<64 - 1)},
		"limits below a small packet": {Answer: withLimits(10_000), MaxRead: 10_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, sftptest.Config{})
			server.Set(faults)
			for way, over := range ways {
				if err := isExact(over(t, connect(t, server)), recording, content, 20); err != nil {
					t.Errorf("%s: %v", way, err)
				}
			}
			if n := server.Dials(); n != len(ways) {
				t.Errorf("%d dials for %d stores", n, len(ways))
			}
		})
	}
}

func TestAnswersThatAreAllLateCostNoByte(t *testing.T) {
	t.Parallel()
	server := startBrief(t)
	stores := make(map[string]storage.Store)
	for way, over := range ways {
		store := connect(t, server, func(c *sftp.Config) { c.Timeout = 8 * time.Second })
		if _, err := store.Stat(t.Context(), briefRecording); err != nil {
			t.Fatal(err)
		}
		stores[way] = over(t, store)
	}
	server.Set(sftptest.Faults{Latency: 1100 * time.Millisecond}) // longer than a store's patience
	var all sync.WaitGroup
	for way, store := range stores {
		all.Go(func() {
			if failed, _ := listens(store); failed != nil {
				t.Errorf("%s: %v", way, failed)
			}
		})
	}
	all.Wait()
}

func TestAServerThatErrsInMidFileIsNotBelieved(t *testing.T) {
	for name, test := range map[string]struct {
		faults sftptest.Faults
		length int
		want   error
	}{
		"error":          {sftptest.Faults{FailAt: 100_000}, 100_000, unavailable},
		"early end":      {sftptest.Faults{EndAt: 100_000}, 100_000, unavailable},
		"size too big":   {sftptest.Faults{ExtraSize: 1000}, len(content), unavailable},
		"size too small": {sftptest.Faults{ExtraSize: -1000}, len(content) - 1000, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, sftptest.Config{})
			for way, over := range ways {
				server.Set(test.faults)
				store := over(t, connect(t, server))
				before := server.Dials()
				got, err := io.ReadAll(open(t, store))
				if !errors.Is(err, test.want) || !bytes.Equal(got, content[:test.length]) {
					t.Errorf("%s: read %d bytes, %v; want %d, %v", way, len(got), err, test.length, test.want)
				}
				server.Set(sftptest.Faults{})
				if err := tries(store); err != nil {
					t.Errorf("%s: afterwards: %v", way, err)
				}
				if n := server.Dials() - before; n != 1 {
					t.Errorf("%s: cost others their connection: %d dials", way, n)
				}
			}
		})
	}
}

func TestAReadThatFailedCanBeTriedAgain(t *testing.T) {
	server := start(t, sftptest.Config{})
	store := connect(t, server)
	file := open(t, store)
	reads(t, file, content[:100_000])
	var failed atomic.Bool
	server.Set(sftptest.Faults{Answer: on(fxData, func(p []byte) []byte {
		if failed.CompareAndSwap(false, true) {
			return status(p, 4)
		}
		return p
	})})
	n, err := file.Read(make([]byte, 1000))
	wants(t, err, unavailable)
	if n != 0 {
		t.Errorf("%d bytes", n)
	}
	reads(t, file, content[100_000:])
}

func TestASmallFileIsNoLongerThanItIsSaidToBe(t *testing.T) {
	const size, said = 5000, 4000
	dir := t.TempDir()
	record(t, filepath.Join(dir, "small.mp3"), content[:size])
	server := start(t, sftptest.Config{Dir: dir})
	server.Set(sftptest.Faults{ExtraSize: said - size}) // as of one that grows while it is opened
	for way, over := range ways {
		if err := isExact(over(t, connect(t, server)), "small.mp3", content[:said], 20); err != nil {
			t.Errorf("%s: %v", way, err)
		}
	}
}

func TestAFileRewrittenWhileItIsOpenedIsNotMixed(t *testing.T) {
	server := startBrief(t)
	store := connect(t, server)
	if _, err := store.Stat(t.Context(), briefRecording); err != nil {
		t.Fatal(err)
	}
	var looks, pieces atomic.Int32
	rewritten := uint32(time.Now().Unix())
	server.Set(sftptest.Faults{Answer: func(p []byte) []byte {
		switch {
		case p[0] == fxAttrs && looks.Add(1) > 1: // what it is when it was opened
			const mtime = afterID + 4 + 8 + 8 + 4 + 4
			p = append(binary.BigEndian.AppendUint32(p[:mtime:mtime], rewritten), p[mtime+4:]...)
		case p[0] == fxData && pieces.Add(1) > 1: // what went with the opening was read before
			p = bytes.Clone(p)
			for i := range p[afterID+4:] {
				p[afterID+4+i] ^= 0xff
			}
		}
		return p
	}})
	file, err := store.Open(t.Context(), briefRecording)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	eventually(t, "what went with the opening is read", func() bool { return pieces.Load() == 1 })
	if got, err := io.ReadAll(file); err != nil || !bytes.Equal(got, other[:len(brief)]) {
		t.Errorf("%d bytes of two versions, %v", len(got), err)
	}
}
