package audit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"storagesrv/cmd/storagesrv/internal/audit"
)

// both runs a test with an audit that is required, and with one that is not.
func both(t *testing.T, test func(t *testing.T, required bool)) {
	for _, required := range []bool{false, true} {
		t.Run(fmt.Sprintf("required %v", required), func(t *testing.T) { test(t, required) })
	}
}

func TestTheFileIsOnlyForItsGroup(t *testing.T) {
	file := inDir(t)
	log := open(t, audit.Config{File: file})
	play(t, log, anna, "a", 0, 1)
	log.Close()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode&^0o640 != 0 {
		t.Errorf("mode %v", mode)
	}
}

func TestLinesAreAppended(t *testing.T) {
	file := inDir(t)
	for i := range 3 {
		log := open(t, audit.Config{File: file})
		play(t, log, anna, fmt.Sprint(i), 0, 1)
		log.Close()
	}
	if got := read(t, contents(t, file)); len(got) != 6 || got[4].RequestIDs[0] != "2" {
		t.Errorf("%+v", got)
	}
}

// A crash tore the last line: what follows is whole.
func TestATornLineSpoilsNoOther(t *testing.T) {
	both(t, func(t *testing.T, required bool) {
		file := inDir(t)
		const torn = `{"time":"2026-11-02T10:00:00.000Z","event":"star`
		if err := os.WriteFile(file, []byte(torn), 0o640); err != nil {
			t.Fatal(err)
		}
		log := open(t, audit.Config{File: file, Required: required})
		play(t, log, anna, "a", 0, 1)
		log.Close()
		rest, ok := strings.CutPrefix(contents(t, file), torn+"\n")
		if got := read(t, rest); !ok || len(got) != 2 {
			t.Errorf("%q", contents(t, file))
		}
	})
}

// Listeners come and go while the file is moved away again and again, as
// logrotate does it.
func TestNoLineIsLostInARotation(t *testing.T) {
	for name, reopen := range map[string]func(*audit.Log) error{
		"with a signal":    (*audit.Log).Reopen,
		"without a signal": func(*audit.Log) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			file := inDir(t)
			log := open(t, audit.Config{File: file})
			const listeners, each, rotations = 8, 200, 20
			var all sync.WaitGroup
			turns := make(chan struct{}) // to rotate, now and then
			for i := range listeners {
				all.Go(func() {
					for n := range each {
						who := anna
						who.CallID = fmt.Sprint(i, "-", n)
						play(t, log, who, who.CallID, 0, 1000)
						if i == 0 && n%(each/rotations) == 0 {
							turns <- struct{}{}
						}
					}
				})
			}
			for i := range rotations {
				<-turns
				await(t, "the next file", func() bool { _, err := os.Stat(file); return err == nil })
				if err := errors.Join(os.Rename(file, fmt.Sprint(file, ".", i)), reopen(log)); err != nil {
					t.Fatal(err)
				}
			}
			all.Wait()
			log.Close()
			files, err := filepath.Glob(file + "*")
			if err != nil || len(files) != rotations+1 {
				t.Errorf("%d files, %v", len(files), err)
			}
			seen := make(map[string]int)
			for _, file := range files {
				for _, e := range read(t, contents(t, file)) {
					seen[e.Event+" "+e.CallID]++
				}
			}
			for line, n := range seen {
				if n != 1 {
					t.Errorf("%s stands there %d times", line, n)
				}
			}
			if len(seen) != 2*listeners*each {
				t.Errorf("%d lines", len(seen))
			}
		})
	}
}

func TestARemovedFileIsBegunAnew(t *testing.T) {
	both(t, func(t *testing.T, required bool) {
		file := inDir(t)
		log := open(t, audit.Config{File: file, Required: required})
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		play(t, log, anna, "a", 0, 1)
		log.Close()
		if got := read(t, contents(t, file)); len(got) != 2 {
			t.Errorf("%+v", got)
		}
	})
}

func TestAnAuditThatIsRequiredMustBeThereAtTheStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "missing", "audit.jsonl")
	if _, err := audit.Open(audit.Config{File: file, Quiet: quiet, Required: true, Patience: hung}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// breakable returns a file that can be broken and mended.
func breakable(t *testing.T, how string) (file string, breakIt, mend func()) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "audit")
	file = filepath.Join(dir, "audit.jsonl")
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(os.Mkdir(dir, 0o755))
	full := filepath.Join(dir, "full.jsonl")
	switch how {
	case "the directory is gone":
		return file, func() { do(os.Rename(dir, dir+".gone")) }, func() { do(os.Rename(dir+".gone", dir)) }
	case "the disk is full":
		return file, func() { do(os.Rename(file, full)); do(os.Symlink("/dev/full", file)) },
			func() { do(os.Remove(file)); do(os.Rename(full, file)) }
	}
	t.Fatal(how)
	return "", nil, nil
}

var breaks = []string{"the directory is gone", "the disk is full"}

func needs(t *testing.T, device string) {
	if _, err := os.Stat(device); err != nil {
		t.Skip(err)
	}
}

func TestNoPlaybackStartsThatCannotBeWrittenDown(t *testing.T) {
	needs(t, "/dev/full")
	for _, how := range breaks {
		t.Run(how, func(t *testing.T) {
			file, breakIt, mend := breakable(t, how)
			config := audit.Config{File: file, Required: true}
			var counts counts
			counts.watch(&config)
			log := open(t, config)
			bert := anna
			bert.Who = "bert"
			going := begin(t, log, anna, "a", 1000)
			breakIt()
			for range 3 {
				if _, err := log.Begin(t.Context(), bert, "b", 1000); !errors.Is(err, audit.ErrUnavailable) {
					t.Fatalf("%v", err)
				}
			}
			log.Refuse(bert, "b", "audit-unavailable")
			if counts.failed.Load() < 3 {
				t.Errorf("%d failures", counts.failed.Load())
			}
			play(t, log, anna, "c", 0, 1000) // is written down already
			going.End(audit.Sent)
			mend()
			play(t, log, bert, "d", 0, 1000)
			if err := log.Close(); err != nil {
				t.Error(err)
			}
			var got []string
			for _, e := range read(t, contents(t, file)) {
				got = append(got, fmt.Sprint(e.Event, e.Who, e.RequestIDs))
			}
			want := map[string]bool{"startedanna[a]": true, "refusedbert[b]": true, "startedbert[d]": true, "playedanna[a c]": true, "playedbert[d]": true}
			for _, line := range got {
				if !want[line] {
					t.Errorf("%s", line)
				}
				delete(want, line)
			}
			if len(want) > 0 {
				t.Errorf("not there: %v", want)
			}
		})
	}
}

func TestPlaybackGoesOnWithoutAnAuditThatIsNotRequired(t *testing.T) {
	needs(t, "/dev/full")
	for _, how := range breaks {
		t.Run(how, func(t *testing.T) {
			file, breakIt, mend := breakable(t, how)
			config := audit.Config{File: file}
			var counts counts
			counts.watch(&config)
			log := open(t, config)
			breakIt()
			for i := range 100 {
				play(t, log, listener(i), "a", 0, 1000)
			}
			if counts.failed.Load() == 0 {
				t.Error("nothing has failed")
			}
			mend()
			if err := log.Close(); err != nil {
				t.Error(err)
			}
			if got := count(read(t, contents(t, file))); got["started"] != 100 || got["played"] != 100 {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestAnAuditThatIsNotRequiredMayComeLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	file := filepath.Join(dir, "audit.jsonl")
	log := open(t, audit.Config{File: file})
	play(t, log, anna, "a", 0, 1000)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := log.Reopen(); err != nil {
		t.Error(err)
	}
	log.Close()
	if got := read(t, contents(t, file)); len(got) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestBeginHeedsItsContext(t *testing.T) {
	pipe := newPipe()
	log := open(t, audit.Config{Stdout: pipe, Required: true})
	defer pipe.release()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-pipe.waiting
		cancel()
	}()
	if _, err := log.Begin(ctx, anna, "a", 1000); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
