package server

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A stream is one of HTTP/2: it is cut when its deadline passes, whatever is done.
type stream struct {
	http.ResponseWriter
	takes    time.Duration // for one write
	deadline *time.Timer
	cut      atomic.Bool // once deadline has passed
}

func (s *stream) Write(p []byte) (int, error) {
	time.Sleep(s.takes)
	return len(p), nil
}

func (s *stream) SetWriteDeadline(deadline time.Time) error {
	if s.deadline == nil {
		s.deadline = time.AfterFunc(time.Until(deadline), func() { s.cut.Store(true) })
		return nil
	}
	s.deadline.Reset(time.Until(deadline))
	return nil
}

func TestAStreamIsCutByItsClientAlone(t *testing.T) {
	const stall = 8 * time.Second
	for name, c := range map[string]struct {
		takes, waits time.Duration // of the client and of the storage, in turn
		cut          bool
	}{
		"a storage that is away":                  {0, 10 * stall, false},
		"a client and a storage that are slow":    {stall - 1, stall - 1, false},
		"a slow client of a storage that is away": {stall - 1, 10 * stall, false},
		"a client that takes nothing":             {stall + 1, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := &stream{ResponseWriter: httptest.NewRecorder(), takes: c.takes}
				s := &sender{response: &response{ResponseWriter: client, stall: stall, status: http.StatusOK}, shared: true}
				defer s.excuse().end()
				for range 3 {
					s.write([]byte("bytes"))
					time.Sleep(c.waits)
				}
				client.deadline.Stop()
				synctest.Wait()
				if cut := client.cut.Load(); cut != c.cut {
					t.Errorf("cut: %v", cut)
				}
			})
		})
	}
}
