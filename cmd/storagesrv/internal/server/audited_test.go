package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"storagesrv/cmd/storagesrv/internal/audit"
	"storagesrv/cmd/storagesrv/internal/server"
)

// An auditLine is a line of the audit.
type auditLine struct {
	Event, Who, Via, Client, Outcome string
	CallID                           string `json:"call_id"`
	FileID                           string `json:"file_id"`
	Bytes, Furthest                  int64
	RequestIDs                       []string `json:"request_ids"`
}

// audited makes a rig's server have an audit, whose lines the returned function
// returns when it is closed.
func audited(t testing.TB, config rigConfig) (r *rig, lines func() []auditLine) {
	t.Helper()
	var out logBuffer
	log, err := audit.Open(audit.Config{Stdout: &out, Quiet: time.Hour, Patience: hung})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	and := config.and
	config.and = func(c *server.Config) {
		c.Audit = log
		if and != nil {
			and(c)
		}
	}
	return newRig(t, config), func() (lines []auditLine) {
		t.Helper()
		if err := log.Close(); err != nil {
			t.Error(err)
		}
		for text := range strings.Lines(out.String()) {
			var line auditLine
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Errorf("%v: %s", err, text)
			}
			lines = append(lines, line)
		}
		return lines
	}
}

// ended waits until the server is done with all recordings.
func (r *rig) ended() {
	r.t.Helper()
	await(r.t, "the end of all streams", func() bool { return r.server.Streams() == 0 })
}

// thePlayed returns the only playback there was, whose beginning must come first.
func thePlayed(t testing.TB, lines []auditLine) auditLine {
	t.Helper()
	if len(lines) != 2 || lines[0].Event != "started" || lines[1].Event != "played" {
		t.Fatalf("%+v", lines)
	}
	return lines[1]
}

func TestWhatAListenerTookIsInTheAudit(t *testing.T) {
	content := wav(500_000)
	size := int64(len(content))
	for name, c := range map[string]struct {
		ranges   []string // of one request each; "" for none
		bytes    int64
		furthest int64
		outcome  string
	}{
		"all":                     {[]string{""}, size, size, "complete"},
		"a probe":                 {[]string{"bytes=0-1"}, 2, 2, "partial"},
		"from the middle":         {[]string{"bytes=600000-"}, size - 600_000, size, "partial"},
		"the end":                 {[]string{"bytes=-5"}, 5, size, "partial"},
		"in pieces":               {[]string{"bytes=0-1", "bytes=500000-", "bytes=2-499999"}, size, size, "complete"},
		"several at once":         {[]string{"bytes=10-19,900000-900099"}, 110, 900_100, "partial"},
		"all of it, in two parts": {[]string{"bytes=0-499999,500000-"}, size, size, "complete"},
	} {
		for kind, store := range inProcess {
			for _, transport := range []string{"HTTP/1.1", "HTTP/2.0"} {
				t.Run(name+" "+kind+" "+transport, func(t *testing.T) {
					r, lines := audited(t, rigConfig{store: store})
					if transport == "HTTP/2.0" {
						r.overTLS()
					}
					r.call("call-1", r.file("a.wav", content))
					for _, ranges := range c.ranges {
						header := http.Header{}
						if ranges != "" {
							header.Set("Range", ranges)
						}
						if a := r.do("GET", "/recordings/call-1", header); a.err != nil || a.status/100 != 2 {
							t.Fatalf("%d, %v", a.status, a.err)
						}
					}
					r.ended()
					got := thePlayed(t, lines())
					if got.Bytes != c.bytes || got.Furthest != c.furthest || got.Outcome != c.outcome || len(got.RequestIDs) != len(c.ranges) ||
						got.CallID != "call-1" || got.FileID != "01" || got.Client != "127.0.0.1" || got.Via != "anonymous" {
						t.Errorf("%+v", got)
					}
				})
			}
		}
	}
}

// overTLS makes the rig's clients speak HTTP/2.
func (r *rig) overTLS() { r.secured(true) }

// overTLS1 makes the rig's clients speak HTTP/1 over TLS.
func (r *rig) overTLS1() { r.secured(false) }

func (r *rig) secured(http2 bool) {
	s := httptest.NewUnstartedServer(r.server)
	s.EnableHTTP2 = http2
	s.StartTLS()
	r.t.Cleanup(s.Close)
	r.url, r.client = s.URL, s.Client()
}

func TestWhatIsNoPlaybackIsNotInTheAudit(t *testing.T) {
	r, lines := audited(t, rigConfig{})
	r.call("call-1", r.file("a.wav", wav(1000)))
	etag := r.do("HEAD", "/recordings/call-1", nil).header.Get("Etag")
	for _, c := range []struct {
		method, path string
		header       http.Header
		status       int
	}{
		{"HEAD", "/recordings/call-1", nil, 200},
		{"HEAD", "/recordings/call-1", http.Header{"Range": {"bytes=0-1,5-6"}}, 200},
		{"GET", "/recordings/call-1", http.Header{"If-None-Match": {etag}}, 304},
		{"GET", "/recordings/call-1", http.Header{"If-Match": {`"x"`}}, 412},
		{"GET", "/recordings/call-1", http.Header{"Range": {"bytes=90000-"}}, 416},
		{"POST", "/recordings/call-1", nil, 405},
		{"GET", "/recordings/call-1/info", nil, 200},
		{"GET", "/recordings/nobody/info", nil, 404},
		{"GET", "/nothing/call-1", nil, 404},
	} {
		if got := r.do(c.method, c.path, c.header); got.status != c.status {
			t.Errorf("%s %s %v: %d", c.method, c.path, c.header, got.status)
		}
	}
	r.ended()
	if got := lines(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestRefusalsAreInTheAudit(t *testing.T) {
	r, lines := audited(t, rigConfig{})
	r.call("call-1", r.file("a.wav", wav(1000)))
	r.call("call-2", r.file("b.wav", []byte("no audio at all, but some text instead")))
	for _, c := range []struct{ path, problem, callID, fileID string }{
		{"/recordings/nobody", "call-not-found", "nobody", ""},
		{"/recordings/call-1?file_id=02", "file-not-found", "call-1", ""},
		{"/recordings/call-2", "unrecognized", "call-2", "01"},
		{"/recordings/" + strings.Repeat("x", 1000), "bad-call-id", "", ""},
	} {
		r.get(c.path)
		await(t, "the log", func() bool { return strings.Contains(r.log.String(), c.problem) })
	}
	got := lines()
	var all []string
	for _, line := range got {
		if line.Event != "refused" || line.Client != "127.0.0.1" || len(line.RequestIDs) != 1 {
			t.Errorf("%+v", line)
		}
		all = append(all, fmt.Sprint(line.CallID, " ", line.Outcome))
	}
	want := []string{"nobody call-not-found", "call-1 file-not-found", "call-2 unrecognized", " bad-call-id"}
	if !slices.Equal(all, want) {
		t.Errorf("got %q, want %q", all, want)
	}
}

// Whoever came with a credential is named, and no credential is.
func TestTheAuditNamesCallers(t *testing.T) {
	var out logBuffer
	log, err := audit.Open(audit.Config{Stdout: &out, Quiet: time.Hour, Patience: hung})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	r, _ := guarded(t, func(c *server.Config) { c.Audit = log })
	link := r.signed("call-1", "?subject=anna")
	changed := strings.Replace(link, "/call-1/", "/call-2/", 1)
	for _, c := range []struct {
		path   string
		header http.Header
		want   string // event, who, via, call and outcome
	}{
		{"/recordings/call-1", bearer, "started crm token call-1 "},
		{"/api/v2/calls/call-2.json/file?file_id=01", basic, "started crm token call-2 "},
		{link, nil, "started anna link call-1 "},
		{"/recordings/call-1", nil, "refused   call-1 unauthenticated"},
		{"/recordings/call-1", header("Authorization", "Bearer wrong"), "refused   call-1 unauthenticated"},
		{changed, nil, "refused   call-2 link-invalid"},
		{"/recordings/nobody", bearer, "refused crm token nobody call-not-found"},
	} {
		before := len(out.String())
		r.do("GET", c.path, c.header)
		await(t, "a line", func() bool { return len(out.String()) > before })
		var got auditLine
		if err := json.Unmarshal([]byte(out.String()[before:]), &got); err != nil {
			t.Fatal(err)
		}
		if s := fmt.Sprint(got.Event, " ", got.Who, " ", got.Via, " ", got.CallID, " ", got.Outcome); s != c.want {
			t.Errorf("%s: %q, want %q", c.path, s, c.want)
		}
	}
	log.Close()
	_, sign, _ := strings.Cut(link, "sign=")
	for _, secret := range []string{token, "wrong", sign, basic.Get("Authorization")[6:]} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%s is in the audit", secret)
		}
	}
}

func TestAClientThatLeavesPlayedAPart(t *testing.T) {
	for kind, store := range inProcess {
		t.Run(kind, func(t *testing.T) {
			r, lines := audited(t, rigConfig{store: store})
			r.call("call-1", r.file("a.wav", wav(long)))
			conn, body := rawGet(t, r, "/recordings/call-1")
			const took = 500_000
			if _, err := io.CopyN(io.Discard, body, took); err != nil {
				t.Fatal(err)
			}
			conn.Close()
			r.ended()
			got := thePlayed(t, lines())
			if got.Outcome != "partial" || got.Bytes < took || got.Bytes >= 2*long || got.Furthest != got.Bytes {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestABodyThatTheStorageCutIsCutInTheAudit(t *testing.T) {
	for kind, store := range inProcess {
		t.Run(kind, func(t *testing.T) {
			r, lines := audited(t, rigConfig{store: store})
			r.call("call-1", r.file("a.wav", wav(long)))
			conn, body := rawGet(t, r, "/recordings/call-1")
			if err := os.Truncate(filepath.Join(r.dir, "a.wav"), 100_000); err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, body) // ends with an error, or early
			conn.Close()
			r.ended()
			if got := thePlayed(t, lines()); got.Outcome != "cut" || got.Bytes >= 2*long || got.Furthest != got.Bytes {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestWhatAServerThatEndsCutIsCutInTheAudit(t *testing.T) {
	r, lines := audited(t, rigConfig{})
	r.call("call-1", r.file("a.wav", wav(long)))
	conn, _ := rawGet(t, r, "/recordings/call-1")
	r.server.Drain()
	conn.Close()
	r.ended()
	if got := thePlayed(t, lines()); got.Outcome != "cut" {
		t.Errorf("%+v", got)
	}
}

func TestNothingIsSentThatARequiredAuditCannotTell(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(audit.Config{File: filepath.Join(dir, "audit.jsonl"), Quiet: time.Hour, Required: true, Patience: hung})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	r, content := guarded(t, func(c *server.Config) { c.Audit = log })
	link := r.signed("call-1", "")
	if err := os.Rename(dir, dir+".gone"); err != nil {
		t.Fatal(err)
	}
	for _, ranges := range []string{"bytes=0-", "bytes=0-1", "bytes=5-", "bytes=0-1,5-6", "none"} {
		a := r.do("GET", link, header("Range", ranges))
		if a.status != 503 || a.problemName(t) != "audit-unavailable" || a.header.Get("Retry-After") == "" {
			t.Errorf("%q: %d %s", ranges, a.status, a.body)
		}
		for _, name := range []string{"Content-Range", "Etag", "Accept-Ranges", "Last-Modified", "Content-Disposition", "Set-Cookie"} {
			if value := a.header.Get(name); value != "" {
				t.Errorf("%q: %s: %s", ranges, name, value)
			}
		}
	}
	if a := r.do("HEAD", link, nil); a.status != 200 {
		t.Errorf("HEAD %d", a.status)
	}
	if err := os.Rename(dir+".gone", dir); err != nil {
		t.Fatal(err)
	}
	r.wantRecording("it can be written again", r.get(link), content)
}

// Nobody is to be sent here who would not be let begin.
func TestReadinessTellsOfAnAuditThatCannotBeWritten(t *testing.T) {
	for _, required := range []bool{true, false} {
		t.Run(fmt.Sprintf("required %v", required), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "audit")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			log, err := audit.Open(audit.Config{File: filepath.Join(dir, "audit.jsonl"), Quiet: time.Hour, Required: required, Patience: hung})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { log.Close() })
			r := newRig(t, rigConfig{and: func(c *server.Config) { c.Audit = log }})
			r.call("call-1", r.file("a.wav", wav(1000)))
			is := func(status int, text string) func() bool {
				return func() bool {
					got := r.doURL("GET", r.admin+"/readyz", nil)
					return got.status == status && strings.Contains(string(got.body), text)
				}
			}
			await(t, "the audit to be up", is(200, fmt.Sprintf(`"audit":{"required":%v,"up":true,"since":"`, required)))
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			status := map[bool]int{true: 503, false: 200}[required]
			if got := r.get("/recordings/call-1"); got.status != status {
				t.Errorf("a recording: %d", got.status)
			}
			await(t, "the audit to be down", is(status, fmt.Sprintf(`"audit":{"required":%v,"up":false,"since":"`, required)))
			if !is(status, "no such file")() {
				t.Error("no reason is told")
			}
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			await(t, "the audit to be up again", is(200, fmt.Sprintf(`"audit":{"required":%v,"up":true,"since":"`, required)))
		})
	}
}

// Many listen at once, each in a few ranges: as many lines are left as there
// were listeners.
func TestTenThousandListenersOverHTTP(t *testing.T) {
	r, lines := audited(t, rigConfig{ttl: cached, proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	content := wav(1000)
	r.call("call-1", r.file("a.wav", content))
	const listeners, atOnce = 10_000, 8
	var all sync.WaitGroup
	for i := range atOnce {
		all.Go(func() {
			for _, ranges := range []string{"bytes=0-99", "bytes=100-"} {
				for n := i; n < listeners; n += atOnce {
					client := fmt.Sprintf("192.0.%d.%d", n/256, n%256)
					a := r.do("GET", "/recordings/call-1", http.Header{"X-Forwarded-For": {client}, "Range": {ranges}})
					if a.status != 206 || a.err != nil {
						t.Errorf("%d, %v", a.status, a.err)
						return
					}
				}
			}
		})
	}
	all.Wait()
	r.ended()
	events, clients := make(map[string]int), make(map[string]bool)
	for _, line := range lines() {
		events[line.Event]++
		clients[line.Client] = true
		if line.Event == "played" && (line.Outcome != "complete" || line.Bytes != int64(len(content))) {
			t.Fatalf("%+v", line)
		}
	}
	if len(events) != 2 || events["started"] != listeners || events["played"] != listeners || len(clients) != listeners {
		t.Errorf("%v of %d clients", events, len(clients))
	}
}
