//go:build linux

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLoadIsReadFromWhatWrkPrints(t *testing.T) {
	l, err := parseLoad("Running 1m test\n  2 threads\nRESULT 3000 1500000 198000000 2100 19300 0\n")
	want := load{3000, 198_000_000, 1500 * time.Millisecond, 2100 * time.Microsecond, 19300 * time.Microsecond, 0}
	if err != nil || l != want || l.rate() != 2000 {
		t.Errorf("got %+v, %g a second, %v", l, l.rate(), err)
	}
	for _, text := range []string{"", "unable to connect", "RESULT 3000 nan"} {
		if _, err := parseLoad(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

func TestLoadOfWrongAnswersIsNoResult(t *testing.T) {
	const n, size = 1000, rangeSize
	for name, c := range map[string]struct {
		load load
		ok   bool
	}{
		"right":                {load{requests: n, bytes: n * (size + 300)}, true},
		"and some under way":   {load{requests: n, bytes: n*(size+300) + loadConnections*size}, true},
		"one failed":           {load{requests: n, bytes: n * (size + 300), failed: 1}, false},
		"short bodies":         {load{requests: n, bytes: n * 300}, false},
		"whole files, not 206": {load{requests: n, bytes: n * 4 << 20}, false},
		"nothing":              {load{}, false},
	} {
		if err := c.load.check(size); (err == nil) != c.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestLoadLinesAskForRangesInsideEachFile(t *testing.T) {
	recordings := []recording{{"a/0.wav", make([]byte, rangeSize)}, {"a/1.wav", make([]byte, rangeSize+1)}}
	s := &server{url: func(c recording) string { return "http://127.0.0.1:1/" + c.path }}
	lines, size, err := loadLines(s, recordings, true)
	if err != nil || size != rangeSize {
		t.Fatalf("%d, %v", size, err)
	}
	seen := make(map[string]int)
	for line := range strings.Lines(string(lines)) {
		seen[line]++
	}
	// All that there can be, and no other.
	if seen["/a/0.wav 0 65535\n"] == 0 || seen["/a/1.wav 0 65535\n"] == 0 || seen["/a/1.wav 1 65536\n"] == 0 || len(seen) != 3 {
		t.Errorf("got %v", seen)
	}
	lines, size, err = loadLines(s, recordings[:1], false)
	if want := strings.Repeat("/a/0.wav\n", loadRequests); err != nil || size != rangeSize || string(lines) != want {
		t.Errorf("whole: %d, %v, %.40q", size, err, lines)
	}
}

func TestResolverPointsNginxToTheFileOfACall(t *testing.T) {
	l := &library{sets: map[string][]recording{"ranges": {{path: "ranges/7.wav"}}}, warm: map[string]recording{"ranges": {path: "ranges/warm.wav"}}}
	catalog := filepath.Join(t.TempDir(), "calls.json")
	if err := l.writeCatalog(catalog); err != nil {
		t.Fatal(err)
	}
	app := resolverOf(t, catalog)
	for path, want := range map[string]string{
		"/recordings/ranges-7":    "200 /files/ranges/7.wav",
		"/recordings/ranges-warm": "200 /files/ranges/warm.wav",
		"/recordings/ranges-8":    "404 ",
		"/recordings/ranges_7":    "400 ",
		"/other":                  "400 ",
	} {
		if got := redirect(app, path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func TestResolverLetsNoCallOutOfTheRoot(t *testing.T) {
	catalog := filepath.Join(t.TempDir(), "calls.json")
	data := `{"calls": [
		{"call_id": "up", "files": [{"file_id": "1", "file_path": "/var/recordings/../../etc/passwd"}]},
		{"call_id": "beside", "files": [{"file_id": "1", "file_path": "/var/recordings-2/x.wav"}]},
		{"call_id": "none", "files": []}]}`
	if err := os.WriteFile(catalog, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
	app := resolverOf(t, catalog)
	for _, id := range []string{"up", "beside", "none"} {
		if got := redirect(app, "/recordings/"+id); got != "404 " {
			t.Errorf("%s: got %q", id, got)
		}
	}
}

func resolverOf(t *testing.T, catalog string) http.Handler {
	t.Helper()
	app, err := newResolver(catalog)
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// redirect returns the status and the place.
func redirect(app http.Handler, path string) string {
	w := httptest.NewRecorder()
	app.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return fmt.Sprintf("%d %s", w.Code, w.Header().Get("X-Accel-Redirect"))
}
