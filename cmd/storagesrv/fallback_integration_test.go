//go:build integration

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"storagesrv/metadata/metadatatest"
)

// TestChromiumFallback plays an hour that is encrypted on the storage, and seeks
// its middle, where a browser has not buffered it yet.
func TestChromiumFallback(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // where the browser's profile is, in a path that must not be long
	b := startBrowser(t, "")
	hour := sawtooth(3600)
	longAgo := time.Date(2013, 10, 12, 16, 38, 56, 0, time.UTC)
	for _, way := range []string{"redirect", "proxy"} {
		for kind, content := range map[string]metadatatest.Content{
			"ranges":   {ETag: `"v1"`, Modified: longAgo},
			"unmarked": {},
			"whole":    {NoRanges: true},
			"chunked":  {NoRanges: true, NoLength: true},
		} {
			if way == "redirect" && content.NoRanges {
				continue // the browser is at the recorder's mercy
			}
			t.Run(way+", "+kind, func(t *testing.T) {
				content.Data = hour
				r := newFallbackRig(t, content, "encrypted: "+way)
				_, url := r.serve(t)
				b.showRecording(t, url)
				b.press(t, "call-1")
				if p := b.plays(t, "call-1", 0); p.Duration != 3600 {
					t.Errorf("%+v", p)
				}
				await[player](t, b, "seek(player(%q), 1800)", "call-1")
				b.plays(t, "call-1", 1800)
				r.checkFetches(t, way, content)
			})
		}
	}
}

// showRecording shows a page that plays call-1, as that of another web app would.
func (b *browser) showRecording(t *testing.T, url string) {
	t.Helper()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!DOCTYPE html><title>calls</title><link rel="icon" href="data:,">
			<article data-call="call-1"><audio controls preload="none" src="%s/recordings/call-1"></audio></article>`, url)
	}))
	t.Cleanup(func() {
		page.CloseClientConnections()
		page.Close()
	})
	b.do(t, chromedp.Navigate(page.URL+"/"))
	b.do(t, chromedp.Evaluate[chromedp.Void](helpers))
}

// checkFetches makes sure that the recorder was asked as the way has it.
func (r *fallbackRig) checkFetches(t *testing.T, way string, content metadatatest.Content) {
	t.Helper()
	var sought bool
	fetches := r.recorder.Fetches()
	for _, f := range fetches {
		var from int
		fmt.Sscanf(strings.TrimPrefix(f.Range, "bytes="), "%d-", &from)
		sought = sought || from > 10_000_000
		if f.ByLink != (way == "redirect") {
			t.Errorf("by way of %s: %+v", way, f)
		}
	}
	if content.NoRanges && len(fetches) != 1 {
		t.Errorf("the whole was fetched %d times: %+v", len(fetches), fetches)
	}
	if !content.NoRanges && !sought {
		t.Errorf("nobody asked for the middle: %+v", fetches)
	}
}
