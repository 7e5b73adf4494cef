package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"

	"storagesrv/metadata/metadatatest"
)

func TestEachRequestIsOneRecordInTheLog(t *testing.T) {
	r := newRig(t, rigConfig{})
	r.call("call-1", r.file("20131012/a.wav", wav(1000)))
	for _, c := range []struct {
		path, problem string
		status        int
		bytes         int
	}{
		{"/recordings/call-1?file_id=01", "", 200, 2044},
		{"/recordings/nobody", "call-not-found", 404, -1},
		{"/nowhere", "not-found", 404, -1},
		{"/recordings/%0a", "bad-call-id", 400, -1},
	} {
		got := r.do("GET", c.path, header("X-Request-Id", "forged", "X-Forwarded-For", "10.9.9.9"))
		record := r.logged(got)
		if lines := strings.Count(r.log.String(), got.header.Get("X-Request-Id")); lines != 1 {
			t.Errorf("%s: %d lines in the log", c.path, lines)
		}
		if record["msg"] != "request" || record["client"] != "127.0.0.1" || record["method"] != "GET" || record["status"] != float64(c.status) ||
			record["request_id"] != got.header.Get("X-Request-Id") || record["request_id"] == "forged" || fmt.Sprint(record["problem"]) != or(c.problem, "<nil>") ||
			c.bytes >= 0 && record["bytes"] != float64(c.bytes) || !strings.HasPrefix(c.path, record["path"].(string)) {
			t.Errorf("%s: %v", c.path, record)
		}
	}
	record := r.logged(r.get("/recordings/call-1.wav"))
	if record["call_id"] != "call-1" || record["file_id"] != "01" || record["store"] != prefix+" mount" || record["route"] != "recording" {
		t.Errorf("%v", record)
	}
}

func TestAnIgnoredRangeIsInTheLog(t *testing.T) {
	r := newRig(t, rigConfig{})
	r.call("call-1", r.file("a.wav", wav(1000)))
	ranges := "bytes=0-0" + strings.Repeat(",2-2", 16)
	if record := r.logged(r.do("GET", "/recordings/call-1", header("Range", ranges))); record["range"] != ranges || record["status"] != 200.0 {
		t.Errorf("%v", record)
	}
}

func TestALongPathDoesNotFillTheLog(t *testing.T) {
	r := newRig(t, rigConfig{})
	r.call("call-1", prefix+"/"+strings.Repeat("a", 900_000))
	r.logged(r.get("/recordings/call-1"))
	if n := len(r.log.String()); n > 10_000 {
		t.Errorf("%d bytes of log for one request", n)
	}
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func TestAStaleAnswerIsMarkedInTheLog(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigConfig{})
	content := wav(1000)
	r.call("call-1", r.file("a.wav", content))
	r.wantPlays("/recordings/call-1", content)
	r.recorder.Fail("call-1", metadatatest.Status(500, ""))
	if record := r.logged(r.get("/recordings/call-1")); record["stale"] != true || record["status"] != 200.0 {
		t.Errorf("%v", record)
	}
	if !strings.Contains(r.log.String(), `"age":"`) {
		t.Errorf("the age is not logged: %s", r.log.String())
	}
}

func TestTrustedProxiesAreBelieved(t *testing.T) {
	r := newRig(t, rigConfig{proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.1.0.0/16")}})
	for i, c := range []struct{ forwarded, client string }{
		{"192.168.1.7", "192.168.1.7"},
		{"6.6.6.6, 192.168.1.7", "192.168.1.7"},
		{"6.6.6.6, 192.168.1.7, 10.1.2.3", "192.168.1.7"},
		{"10.1.2.3", "10.1.2.3"},
		{"", "127.0.0.1"},
		{"192.168.1.7, nonsense", "127.0.0.1"},
		{"::ffff:192.168.1.7", "192.168.1.7"},
		{"fd00::1", "fd00::1"},
	} {
		got := r.do("GET", "/", header("X-Forwarded-For", c.forwarded, "X-Request-Id", fmt.Sprint("from-the-proxy-", i)))
		if record := r.logged(got); record["client"] != c.client || got.header.Get("X-Request-Id") != fmt.Sprint("from-the-proxy-", i) {
			t.Errorf("%q: client %v, request id %s", c.forwarded, record["client"], got.header.Get("X-Request-Id"))
		}
	}
	for _, id := range []string{"", "a b", "a\tb", "é", strings.Repeat("x", 129)} {
		if got := r.do("GET", "/", header("X-Request-Id", id)).header.Get("X-Request-Id"); got == id {
			t.Errorf("request id %q was taken", id)
		}
	}
}

func TestAdmin(t *testing.T) {
	r := newRig(t, rigConfig{})
	r.call("call-1", r.file("a.wav", wav(1000)))
	r.get("/recordings/call-1")
	r.get("/recordings/nobody")
	if got := r.doURL("GET", r.admin+"/livez", nil); got.status != 200 {
		t.Errorf("livez: %d", got.status)
	}
	ready := func() (status int, state struct {
		Ready    bool
		Metadata struct{ Up bool }
		Stores   []struct {
			Store, Reason, Since string
			Up                   bool
		}
	}) {
		got := r.doURL("GET", r.admin+"/readyz", nil)
		if err := json.Unmarshal(got.body, &state); err != nil {
			t.Fatal(err)
		}
		return got.status, state
	}
	// A look at the mount that takes long is not waited for.
	isReady := func(want bool) func() bool {
		return func() bool { status, _ := ready(); return status == 200 == want }
	}
	await(t, "the mount to be seen", isReady(true))
	if status, s := ready(); status != 200 || !s.Ready || !s.Metadata.Up || len(s.Stores) != 1 || s.Stores[0].Store != prefix+" mount" || !s.Stores[0].Up || s.Stores[0].Since == "" {
		t.Errorf("readyz: %d %+v", status, s)
	}
	for series, want := range map[string]string{
		`storagesrv_requests_total{code="200",route="recording"}`:            "1",
		`storagesrv_requests_total{code="404",route="recording"}`:            "1",
		`storagesrv_refusals_total{problem="call-not-found"}`:                "1",
		`storagesrv_response_bytes_total{store="/var/recordings mount"}`:     "2044",
		`storagesrv_truncated_total{store="/var/recordings mount"}`:          "0",
		`storagesrv_open_seconds_count{store="/var/recordings mount"}`:       "1",
		`storagesrv_first_byte_seconds_count{store="/var/recordings mount"}`: "1",
		`storagesrv_store_up{store="/var/recordings mount"}`:                 "1",
		`storagesrv_resolve_seconds_count`:                                   "2",
		`storagesrv_streams`:                                                 "0",
	} {
		await(t, series+" "+want, func() bool { return r.metric(series) == want })
	}
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	await(t, "the mount to be missed", isReady(false))
	if status, s := ready(); status != 503 || s.Ready || s.Stores[0].Up || s.Stores[0].Reason == "" {
		t.Errorf("without the mount: %d %+v", status, s)
	}
	if err := os.MkdirAll(r.dir+"/x", 0o755); err != nil {
		t.Fatal(err)
	}
	await(t, "the mount to be there again", isReady(true))
	r.server.Drain()
	if status, s := ready(); status != 503 || s.Ready || !s.Stores[0].Up {
		t.Errorf("draining: %d %+v", status, s)
	}
	if got := r.doURL("GET", r.admin+"/recordings/call-1", nil); got.status != http.StatusNotFound {
		t.Errorf("recordings on the admin listener: %d", got.status)
	}
}
