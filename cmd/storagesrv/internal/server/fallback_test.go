package server_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"storagesrv/cmd/storagesrv/internal/server"
	"storagesrv/cmd/storagesrv/internal/spool"
	"storagesrv/metadata"
	"storagesrv/metadata/metadatatest"
)

// noise is what no proof finds anything in.
var noise = ciphertext(100_000)

// A broken is a way in which the storage cannot play a call.
type broken struct {
	name    string
	problem string
	status  int
	call    func(r *rig, id string)
}

var allBroken = []broken{
	{"encrypted", "encrypted", 422, func(r *rig, id string) {
		r.call(id, r.file(id+".wav", append([]byte("Salted__"), noise...)))
	}},
	{"marked by the recorder", "encrypted", 422, func(r *rig, id string) {
		call := r.call(id, r.file(id+".wav", noise))
		call.Files[0].Encrypted = true
		r.recorder.Set(call)
	}},
	{"unrecognized", "unrecognized", 422, func(r *rig, id string) { r.call(id, r.file(id+".wav", noise)) }},
	{"missing", "recording-missing", 404, func(r *rig, id string) {
		r.file("other.wav", nil) // a mount without a file is down
		r.call(id, prefix+"/nowhere/"+id+".wav")
	}},
}

// by returns a rig's fallback that does the same about all.
func by(t testing.TB, way server.Way) func(*metadata.Client, string) server.Fallback {
	return withSpool(t, way, spool.Config{Size: 64 << 20})
}

func withSpool(t testing.TB, way server.Way, config spool.Config) func(*metadata.Client, string) server.Fallback {
	return func(client *metadata.Client, api string) server.Fallback {
		u, err := url.Parse(api)
		if err != nil {
			t.Fatal(err)
		}
		config.Dir = t.TempDir()
		copies, err := spool.New(config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(copies.Close)
		return server.Fallback{Encrypted: way, Missing: way, Recorder: client, Hosts: []string{u.Host}, Spool: copies}
	}
}

func TestRefusedRecordingsAskTheRecorderForNothing(t *testing.T) {
	r := newRig(t, rigConfig{})
	for _, b := range allBroken {
		b.call(r, "call-1")
		r.recorder.SetContent("call-1", "01", metadatatest.Content{Data: wav(1000)})
		r.wantProblem("/recordings/call-1", b.problem, b.status, patient)
	}
	if fetches := r.recorder.Fetches(); len(fetches) > 0 {
		t.Errorf("%+v", fetches)
	}
}

func TestEncryptedAndMissingAreSetApart(t *testing.T) {
	for _, b := range allBroken {
		r := newRig(t, rigConfig{fallback: func(client *metadata.Client, api string) server.Fallback {
			f := by(t, server.Redirect)(client, api)
			if b.name == "missing" {
				f.Missing = server.Refuse
			} else {
				f.Encrypted = ""
			}
			return f
		}})
		b.call(r, "call-1")
		r.recorder.SetContent("call-1", "01", metadatatest.Content{Data: wav(1000)})
		r.wantProblem("/recordings/call-1", b.problem, b.status, patient)
	}
}

// TestOnlyWhatCannotBePlayedFallsBack: neither what plays nor what is refused for
// another reason is asked for.
func TestOnlyWhatCannotBePlayedFallsBack(t *testing.T) {
	r := newRig(t, rigConfig{fallback: by(t, server.Proxy)})
	content := wav(1000)
	r.call("plays", r.file("a.wav", content))
	r.wantPlays("/recordings/plays", content)
	r.call("empty", r.file("b.wav", nil))
	r.wantProblem("/recordings/empty", "no-recording", 404, patient)
	r.call("escapes", prefix+"/../etc/passwd")
	r.wantProblem("/recordings/escapes", "unmapped-path", 502, patient)
	r.call("two", r.file("c.wav", content), r.file("d.wav", content))
	if got := r.get("/recordings/two"); got.problemName(t) != "not-joinable" {
		t.Errorf("%s", got.body)
	}
	r.file("other.wav", nil)
	going := r.call("going", prefix+"/nowhere.wav")
	going.State = 4
	r.recorder.Set(going)
	r.wantProblem("/recordings/going", "recording-in-progress", 409, patient)
	if fetches := r.recorder.Fetches(); len(fetches) > 0 {
		t.Errorf("%+v", fetches)
	}
}

func TestRedirectLeadsToTheRecordersLink(t *testing.T) {
	r := newRig(t, rigConfig{fallback: by(t, server.Redirect)})
	content := wav(1000)
	for i, b := range allBroken {
		id := fmt.Sprintf("call-%d", i)
		b.call(r, id)
		r.recorder.SetContent(id, "01", metadatatest.Content{Data: content})
		for _, method := range []string{"GET", "HEAD"} {
			got := r.do(method, "/recordings/"+id+".wav", header("Range", "bytes=5-9"))
			h := got.header
			if got.status != 302 || h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" || len(got.body) > 0 || h.Get("ETag") != "" {
				t.Fatalf("%s, %s: status %d, %v %.200s", b.name, method, got.status, h, got.body)
			}
			at := r.doURL("GET", h.Get("Location"), header("Range", "bytes=5-9"))
			if at.status != 206 || !bytes.Equal(at.body, content[5:10]) {
				t.Errorf("%s: the link answers %d", b.name, at.status)
			}
			record := r.logged(got)
			if record["fallback"] != "redirect" || record["problem"] != nil || record["status"] != 302.0 {
				t.Errorf("logged %v", record)
			}
		}
	}
	if text := r.log.String(); strings.Contains(text, "signed?") || strings.Contains(text, "sign=") {
		t.Errorf("the log has a link: %s", text)
	}
	if n := r.metric(`storagesrv_fallbacks_total{result="ok",way="redirect"}`); n != "8" {
		t.Errorf("%s redirects counted", n)
	}
}

func TestRedirectNamesTheFile(t *testing.T) {
	r := newRig(t, rigConfig{fallback: by(t, server.Redirect)})
	r.call("call-1", r.file("a.wav", noise), r.file("b.wav", noise))
	r.recorder.SetContent("call-1", "02", metadatatest.Content{Data: wav(1000)})
	if got := r.get("/recordings/call-1?file_id=02"); got.status != 302 || !strings.Contains(got.header.Get("Location"), "file_id=02") {
		t.Errorf("status %d %v", got.status, got.header)
	}
	nameless := r.call("call-2", r.file("c.wav", noise))
	nameless.Files[0].ID = ""
	r.recorder.Set(nameless)
	r.recorder.SetContent("call-2", "", metadatatest.Content{Data: wav(1000)})
	if got := r.get("/recordings/call-2"); got.status != 302 || strings.Contains(got.header.Get("Location"), "file_id") {
		t.Errorf("status %d %v", got.status, got.header)
	}
}

func TestRedirectLeadsOnlyWhereItMay(t *testing.T) {
	var recorder string // host:port
	r := newRig(t, rigConfig{fallback: func(client *metadata.Client, api string) server.Fallback {
		f := by(t, server.Redirect)(client, api)
		recorder = f.Hosts[0]
		f.Hosts = append(f.Hosts, "play.example.lan", "10.1.2.3:8443", "[fd00::1]:443", "fd00::2")
		return f
	}})
	allBroken[0].call(r, "call-1")
	r.recorder.SetContent("call-1", "01", metadatatest.Content{})
	for _, c := range []struct {
		host string
		want bool
	}{
		{"http://" + recorder, true},
		{"https://" + recorder, true},
		{"http://play.example.lan", true},
		{"https://play.example.lan", true},
		{"https://PLAY.Example.lan.", true},
		{"https://play.example.lan:443", true},
		{"https://10.1.2.3:8443", true},
		{"https://[fd00::1]", true},
		{"http://[fd00::2]", true},
		{"http://127.0.0.1", false}, // another port of the recorder's
		{"http://play.example.lan:443", false},
		{"https://play.example.lan:8443", false},
		{"https://10.1.2.3", false},
		{"http://[fd00::1]", false},
		{"https://evil.example", false},
		{"https://play.example.lan.evil.example", false},
		{"https://evil-play.example.lan", false},
		{"https://play.example.lan@evil.example", false},
		{"https://evil.example/https://play.example.lan", false},
		{`https://evil.example\\@play.example.lan`, false},
		{"javascript://play.example.lan", false},
		{"ftp://play.example.lan", false},
	} {
		link := c.host + "/calls/file/call-1/signed?expires=1&sign=S1gnature"
		r.recorder.FailLink("call-1", metadatatest.Body("application/json", `{"signed_url": "`+link+`"}`))
		got := r.get("/recordings/call-1")
		if c.want && (got.status != 302 || got.header.Get("Location") != link) {
			t.Errorf("%s: status %d %s %s", c.host, got.status, got.header.Get("Location"), got.body)
		}
		if !c.want && (got.status != 502 || got.problemName(t) != "bad-metadata" || got.header.Get("Location") != "") {
			t.Errorf("%s: status %d %s", c.host, got.status, got.header.Get("Location"))
		}
		if told := fmt.Sprint(got.header) + string(got.body); !c.want && (strings.Contains(told, "S1gnature") || strings.Contains(told, "evil")) {
			t.Errorf("%s: %s", c.host, told)
		}
	}
	if strings.Contains(r.log.String(), "S1gnature") {
		t.Errorf("the log has a link: %s", r.log.String())
	}
}

// A faulty is what the recorder may do when it is asked for a recording or a link.
type faulty struct {
	name    string
	fault   metadatatest.Fault
	problem string
	status  int
}

var refusals = []faulty{
	{"401", metadatatest.Status(401, "gossip"), "metadata-denied", 502},
	{"403", metadatatest.Status(403, "gossip"), "metadata-denied", 502},
	{"404", metadatatest.Status(404, "gossip"), "call-not-found", 404},
	{"500", metadatatest.Status(500, "gossip"), "metadata-unavailable", 503},
	{"busy", metadatatest.RetryAfter(503, "3600"), "metadata-unavailable", 503},
	{"reset", metadatatest.Reset(), "metadata-unavailable", 503},
	{"hangs", metadatatest.Hang(nil), "metadata-timeout", 504},
	{"login page by redirect", metadatatest.Redirect("http://127.0.0.1:1/gossip"), "bad-metadata", 502},
	{"204", metadatatest.Status(204, ""), "bad-metadata", 502},
}

func TestRecordersFaultsAreProblems(t *testing.T) {
	t.Parallel()
	for _, way := range []server.Way{server.Redirect, server.Proxy} {
		for _, c := range refusals {
			t.Run(string(way)+" "+c.name, func(t *testing.T) {
				t.Parallel()
				timeout := patient
				switch c.problem {
				case "metadata-timeout", "metadata-unavailable":
					timeout = 2 * time.Second
				}
				r := newRig(t, rigConfig{timeout: timeout, fallback: by(t, way)})
				allBroken[0].call(r, "call-1")
				r.recorder.SetContent("call-1", "01", metadatatest.Content{Data: wav(1000)})
				r.recorder.FailLink("call-1", c.fault)
				r.recorder.FailFile("call-1", c.fault)
				got := r.wantProblem("/recordings/call-1", c.problem, c.status, timeout)
				if record := r.logged(got); record["fallback"] != string(way) || !strings.Contains(fmt.Sprint(record["error"]), "encrypted") {
					t.Errorf("logged %v", record)
				}
				if n := r.metric(fmt.Sprintf(`storagesrv_fallbacks_total{result=%q,way=%q}`, c.problem, way)); n != "1" {
					t.Errorf("%s counted", n)
				}
				r.recorder.FailLink("call-1", nil)
				r.recorder.FailFile("call-1", nil)
				want := http.StatusOK
				if way == server.Redirect {
					want = http.StatusFound
				}
				if got := r.get("/recordings/call-1"); got.status != want {
					t.Errorf("mended: status %d", got.status)
				}
			})
		}
	}
}

func TestInfoSaysHowElseARecordingIsPlayed(t *testing.T) {
	for _, way := range []server.Way{server.Refuse, server.Redirect, server.Proxy} {
		r := newRig(t, rigConfig{fallback: by(t, way)})
		want := `"playable":false,"reason":"encrypted","fallback":"` + string(way) + `"}`
		if way == server.Refuse {
			want = `"playable":false,"reason":"encrypted"}`
		}
		allBroken[0].call(r, "call-1")
		if got := r.get("/recordings/call-1/info"); got.status != 200 || strings.Count(string(got.body), `"playable":false,"reason":"encrypted"`) != 2 ||
			!strings.Contains(string(got.body), want) {
			t.Errorf("%s: status %d %s", way, got.status, got.body)
		}
		if fetches := r.recorder.Fetches(); len(fetches) > 0 {
			t.Errorf("%s: %+v", way, fetches)
		}
	}
}
