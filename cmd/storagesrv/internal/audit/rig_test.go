package audit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"storagesrv/cmd/storagesrv/internal/audit"
	"storagesrv/storage/storagetest"
)

func TestMain(m *testing.M) { storagetest.Main(m) }

const quiet = 30 * time.Second

// hung is longer than a busy machine takes for anything.
const hung = time.Minute

// An entry is a line of an audit, read back.
type entry struct {
	Time       time.Time
	Event      string
	Who        string
	Via        string
	Client     string
	CallID     string `json:"call_id"`
	FileID     string `json:"file_id"`
	Bytes      *int64
	Furthest   *int64
	Duration   *int64 `json:"duration_ms"`
	Outcome    string
	RequestIDs []string `json:"request_ids"`
}

// read reads lines, all of which must be whole.
func read(t testing.TB, text string) (entries []entry) {
	t.Helper()
	if text != "" && !strings.HasSuffix(text, "\n") {
		t.Errorf("the audit ends in the middle of a line: %q", text[strings.LastIndex(text, "\n")+1:])
	}
	for line := range strings.Lines(text) {
		var e entry
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&e); err != nil || decoder.More() {
			t.Errorf("%v: %q", err, line)
		}
		entries = append(entries, e)
	}
	return entries
}

// count counts lines by event.
func count(entries []entry) map[string]int {
	n := make(map[string]int)
	for _, e := range entries {
		n[e.Event]++
	}
	return n
}

// A buffer is standard output.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// counts are what a Log tells of its work.
type counts struct {
	mu             sync.Mutex
	wrote, dropped map[string]int // guarded by mu
	failed         atomic.Int64
}

func (c *counts) watch(config *audit.Config) {
	c.wrote, c.dropped = make(map[string]int), make(map[string]int)
	add := func(to map[string]int) func(string, int) {
		return func(event string, n int) {
			c.mu.Lock()
			defer c.mu.Unlock()
			to[event] += n
		}
	}
	config.Wrote, config.Dropped, config.Failed = add(c.wrote), add(c.dropped), func() { c.failed.Add(1) }
}

func (c *counts) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint("wrote ", c.wrote, ", dropped ", c.dropped)
}

// open opens a Log that is patient with a busy machine.
func open(t testing.TB, c audit.Config) *audit.Log {
	t.Helper()
	c.Patience = hung
	return openAsIs(t, c)
}

func openAsIs(t testing.TB, c audit.Config) *audit.Log {
	t.Helper()
	if c.Quiet == 0 {
		c.Quiet = quiet
	}
	log, err := audit.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

func inDir(t testing.TB) string { return filepath.Join(t.TempDir(), "audit.jsonl") }

func contents(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// anna listens to call-1, in these tests.
var anna = audit.Listener{Who: "anna", Via: "forward", Client: "192.0.2.1", CallID: "call-1", FileID: "01"}

func begin(t testing.TB, log *audit.Log, who audit.Listener, requestID string, size int64) *audit.Playback {
	t.Helper()
	p, err := log.Begin(t.Context(), who, requestID, size)
	if err != nil {
		t.Error(err)
	}
	return p
}

// play sends n bytes from an offset on to a listener.
func play(t testing.TB, log *audit.Log, who audit.Listener, requestID string, offset, n int64) {
	t.Helper()
	p := begin(t, log, who, requestID, 1000)
	p.Took(offset, n)
	p.End(audit.Sent)
}

// await polls until a condition holds, which it must before long.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(hung)
	for tick := time.Tick(5 * time.Millisecond); !holds(); <-tick {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// listener is one of many.
func listener(i int) audit.Listener {
	who := anna
	who.CallID = fmt.Sprint(i)
	return who
}

// wholeLines counts lines by event and call, and those that are torn.
func wholeLines(t testing.TB, text string) (lines map[string]int, torn int) {
	t.Helper()
	var whole strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasSuffix(line, "}\n") {
			whole.WriteString(line)
		} else {
			torn++
		}
	}
	lines = make(map[string]int)
	for _, e := range read(t, whole.String()) {
		lines[e.Event+" "+e.CallID]++
	}
	return lines, torn
}
