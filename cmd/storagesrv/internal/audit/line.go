package audit

import (
	"encoding/json"
	"strings"
	"time"
)

// What a line tells.
const (
	started = "started"
	played  = "played"
	refused = "refused"
)

// Events are all that a line may tell.
var Events = []string{started, played, refused}

// A record is what a line says.
type record struct {
	Time  string `json:"time"` // of the event: of what was played, when its last response ended
	Event string `json:"event"`
	Listener
	*progress
	Outcome    string   `json:"outcome,omitempty"`
	RequestIDs []string `json:"request_ids"`
}

// progress is how far a listener got.
type progress struct {
	Bytes    int64 `json:"bytes"`
	Furthest int64 `json:"furthest"`
	Duration int64 `json:"duration_ms"`
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// A line is text that is to be written.
type line struct {
	event string
	text  []byte // with its newline

	done chan struct{} // closed when there was a first try to write it
	err  error         // of that try; set before done is closed
}

func newLine(event string, r record) *line {
	r.Event = event
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and numbers marshal
	}
	return &line{event: event, text: append(text, '\n'), done: make(chan struct{})}
}

// settle tells those who wait for the line. One goroutine settles the lines that
// are queued, and others are settled before anybody waits for them.
func (l *line) settle(err error) {
	select {
	case <-l.done:
	default:
		l.err = err
		close(l.done)
	}
}

// hasFailed reports whether the line was tried in vain.
func (l *line) hasFailed() bool {
	select {
	case <-l.done:
		return l.err != nil
	default:
		return false
	}
}

// clip bounds a string from outside.
func clip(s string) string {
	const most = 256
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
