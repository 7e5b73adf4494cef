package server_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/sftp"
)

// A storage that fails before the first byte is there is a problem, and no body
// that is cut: of what is open and proved, the header alone could be sent.
func TestARecordingWhoseFirstBytesDoNotComeIsAProblem(t *testing.T) {
	for _, method := range []string{"over HTTP/1", "over HTTP/2"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			r, lines := audited(t, rigConfig{ttl: cached})
			server, root := inThisProcess(t, r.dir)
			s := newStack(t, server, stackConfig{
				sftp:  sftp.Config{Root: root, Timeout: 500 * time.Millisecond, Resume: 500 * time.Millisecond},
				cache: storage.CacheConfig{Memory: 1 << 20, Revalidate: time.Hour},
			})
			r.reroute(s.entry)
			if method == "over HTTP/2" {
				r.overTLS()
			}
			content := noisy(streamed, 1)
			r.call("call-1", r.file("a.wav", content))
			const far = streamed / 2
			await(t, "a connection", func() bool { return r.do("GET", "/recordings/call-1", header("Range", "bytes=0-99")).status == 206 })

			s.proxy.Freeze(true)
			got := r.do("GET", "/recordings/call-1", header("Range", "bytes=2097152-"))
			r.wantRefused("a range of a frozen server", got, "storage-unavailable", http.StatusServiceUnavailable)
			for _, name := range []string{"ETag", "Last-Modified", "Content-Range", "Content-Disposition", "Accept-Ranges"} {
				if value := got.header.Get(name); value != "" {
					t.Errorf("%s: %s, of what was not sent", name, value)
				}
			}
			if line := r.logged(got); line["problem"] != "storage-unavailable" || line["store"] != s.entry.Label || !strings.Contains(line["error"].(string), "a.wav") {
				t.Errorf("the log says %v", line)
			}

			s.proxy.Freeze(false)
			await(t, "the recording", func() bool {
				got := r.do("GET", "/recordings/call-1", header("Range", "bytes=2097152-"))
				return got.status == 206 && bytes.Equal(got.body, content[far:])
			})
			if n := r.metric(`storagesrv_truncated_total{store="` + s.entry.Label + `"}`); n != "0" {
				t.Errorf("%s bodies count as cut", n)
			}
			r.ended()
			refused := 0
			for _, line := range lines() {
				if line.Event == "refused" && line.RequestIDs[0] == got.header.Get("X-Request-Id") {
					refused++
				}
				if line.Outcome == "cut" {
					t.Errorf("the audit has a playback of it: %+v", line)
				}
			}
			if refused == 0 {
				t.Error("the audit has no refusal")
			}
		})
	}
}
