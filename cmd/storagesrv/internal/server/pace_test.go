package server_test

import (
	"bytes"
	"io"
	"testing"
	"time"
)

// A player reads fast until it has enough: what the kernel holds for it by then
// lasts for longer than the stall timeout.
func TestAFastClientThatTurnsSlowIsNotCut(t *testing.T) {
	const stall = 2 * time.Second
	r := newRig(t, rigConfig{stall: stall})
	content := wav(long)
	r.call("call-1", r.file("a.wav", content))
	_, body := rawGet(t, r, "/recordings/call-1")
	got := make([]byte, len(content))
	take := func(from, n int) int {
		n, err := io.ReadFull(body, got[from:min(from+n, len(got))])
		if err != nil {
			t.Fatalf("cut after %d bytes: %v\n%s", from+n, err, r.log)
		}
		return from + n
	}
	at := take(0, 14_000_000)
	for deadline, tick := time.Now().Add(3*stall), time.Tick(250*time.Millisecond); time.Now().Before(deadline); <-tick {
		at = take(at, 64<<10)
	}
	if take(at, len(got)-at); !bytes.Equal(got, content) {
		t.Error("wrong bytes")
	}
}

func TestAFastClientThatTakesNothingMoreIsCut(t *testing.T) {
	r := newRig(t, rigConfig{stall: time.Second})
	r.call("call-1", r.file("a.wav", wav(long)))
	_, body := rawGet(t, r, "/recordings/call-1")
	if _, err := io.CopyN(io.Discard, body, 14_000_000); err != nil {
		t.Fatal(err)
	}
	await(t, "the end of the stream", func() bool { return r.server.Streams() == 0 })
	if n, err := io.Copy(io.Discard, body); err == nil && n == 2*long+44-14_000_000 {
		t.Error("the body is complete")
	}
}
