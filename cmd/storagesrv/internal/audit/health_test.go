package audit_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"storagesrv/cmd/storagesrv/internal/audit"
)

func TestHealthTellsOfAFileThatCannotBeWritten(t *testing.T) {
	both(t, func(t *testing.T, required bool) {
		dir := filepath.Join(t.TempDir(), "audit")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		log := open(t, audit.Config{File: filepath.Join(dir, "audit.jsonl"), Required: required})
		if h := log.Health(); !h.Up || h.Reason != "" || h.Since.IsZero() || h.Required != required {
			t.Errorf("at first: %+v", h)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		p, err := log.Begin(t.Context(), anna, "a", 1000)
		if (err != nil) != required {
			t.Fatal(err)
		}
		p.End(audit.Sent)
		if h := log.Health(); h.Up || !strings.Contains(h.Reason, "no such file") || h.Since.Before(began) || h.Required != required {
			t.Errorf("without its directory: %+v", h)
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		// Nobody may come to listen as long as it is down.
		await(t, "the audit to be up", func() bool { h := log.Health(); return h.Up && h.Reason == "" && h.Since.After(began) })
	})
}

// A file that is not required may be wrong from the start.
func TestHealthTellsOfAFileThatCannotBeOpened(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	log := open(t, audit.Config{File: filepath.Join(dir, "audit.jsonl")})
	if h := log.Health(); h.Up || h.Reason == "" {
		t.Errorf("at first: %+v", h)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	await(t, "the audit to be up", func() bool { return log.Health().Up })
}

func TestHealthTellsOfADiskThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := newPipe()
		log := openAsIs(t, audit.Config{Stdout: pipe, Required: true})
		defer pipe.release()
		hangs := time.Now()
		if _, err := log.Begin(t.Context(), anna, "a", 1000); !errors.Is(err, audit.ErrUnavailable) {
			t.Error(err)
		}
		if h := log.Health(); h.Up || h.Reason == "" || !h.Since.Equal(hangs) {
			t.Errorf("it hangs since %v: %+v", hangs, h)
		}
		pipe.release()
		synctest.Wait()
		if h := log.Health(); !h.Up || !h.Since.Equal(time.Now()) {
			t.Errorf("it does not hang any more: %+v", h)
		}
	})
}

func TestWithoutAnAuditNothingIsWrong(t *testing.T) {
	var none *audit.Log
	if h := none.Health(); !h.Up {
		t.Errorf("%+v", h)
	}
}
