package server_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"storagesrv/cmd/storagesrv/internal/access"
	"storagesrv/cmd/storagesrv/internal/server"
)

const (
	offersBearer = `Bearer realm="storagesrv"`
	offersBasic  = `Basic realm="storagesrv", charset="UTF-8"`
)

func TestARecordingTakesAToken(t *testing.T) {
	r, content := guarded(t)
	for _, path := range []string{"/recordings/call-1", "/recordings/call-1.wav", "/recordings/call-1/info", "/recordings/unknown", "/recordings/call-1?token=" + token, "/recordings/call-1?access_token=" + token} {
		for name, h := range map[string][]string{
			"nothing":        nil,
			"another token":  {"Authorization", "Bearer another"},
			"another scheme": {"Authorization", "Token " + token},
			"a cookie":       {"Cookie", "Authorization=Bearer " + token},
		} {
			got := r.do("GET", path, header(h...))
			r.wantRefused(path+" with "+name, got, "unauthenticated", 401)
			if offers := got.header.Values("WWW-Authenticate"); !slices.Equal(offers, []string{offersBearer}) {
				t.Errorf("%s: offers %q: a browser must not ask its user for a password", path, offers)
			}
		}
	}
	if got := r.do("HEAD", "/recordings/call-1", nil); got.status != 401 {
		t.Errorf("HEAD: %d", got.status)
	}
	r.wantRecording("with Bearer", r.do("GET", "/recordings/call-1", bearer), content)
	r.wantRecording("with Basic", r.do("GET", "/recordings/call-1.wav", basic), content)
	if got := r.do("GET", "/recordings/call-1/info", bearer); got.status != 200 || !strings.Contains(string(got.body), `"playable":true`) {
		t.Errorf("info: %d %s", got.status, got.body)
	}
	if n := r.recorder.Requests("call-1") + r.recorder.Requests("unknown"); n != 1 {
		t.Errorf("%d look-ups: the recorder was asked for somebody who is not let in", n)
	}
}

func TestTheAPITakesATokenAlone(t *testing.T) {
	for name, and := range map[string]func(*server.Config){
		"guarded": func(*server.Config) {},
		"anonymous": func(c *server.Config) {
			c.Access = access.NewPolicy(access.NewFailures(), true)
		},
		"no tokens": func(c *server.Config) { c.Access, c.API = nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := guarded(t, and)
			would := []string{offersBearer, offersBasic}
			if name == "no tokens" {
				would = nil
			}
			for _, path := range []string{"/api/v2/calls/call-1.json", "/api/v2/calls/call-1.json/file", "/api/v2/calls/call-1.json/file_url.json"} {
				for _, method := range []string{"GET", "HEAD"} {
					got := r.do(method, path, nil)
					if offers := got.header.Values("WWW-Authenticate"); got.status != 401 || !slices.Equal(offers, would) {
						t.Errorf("%s %s: %d %q", method, path, got.status, offers)
					}
				}
				r.wantRefused(path, r.do("GET", path, header("Authorization", "Basic Y3JtOmNybQ==")), "unauthenticated", 401)
			}
			r.wantRefused("POST", r.post("/api/v2/file_urls.json", `{"calls": []}`, nil), "unauthenticated", 401)
			if got := r.do("GET", "/api/v2/calls/call-1.json", bearer); (got.status == 200) != (name != "no tokens") {
				t.Errorf("with a token: %d %s", got.status, got.body)
			}
		})
	}
}

func TestAWebAppOfTheRecorderChangesItsHostNameAlone(t *testing.T) {
	r, content := guarded(t)
	call := r.do("GET", "/api/v2/calls/call-1.json", basic)
	asked := r.recorder.Requests("call-1")
	if call.status != 200 || call.header.Get("Content-Type") != "application/json" || call.header.Get("Cache-Control") != "no-store" ||
		string(call.body) != string(r.answerOfTheRecorder("call-1")) {
		t.Errorf("the call: %d %v %s", call.status, call.header, call.body)
	}
	const file = "/api/v2/calls/call-1.json/file"
	r.wantRecording("the file", r.do("GET", file, basic), content)
	r.wantRecording("the file by its id", r.do("GET", file+"?file_id=01", basic), content)
	h := basic.Clone()
	h.Set("Range", "bytes=1000-1099")
	if got := r.do("GET", file, h); got.status != 206 || string(got.body) != string(content[1000:1100]) {
		t.Errorf("a range: %d, %d bytes", got.status, len(got.body))
	}
	if got := r.do("HEAD", "/api/v2/calls/call-1.json", basic); got.status != 200 || got.header.Get("Content-Length") != fmt.Sprint(len(call.body)) || len(got.body) > 0 {
		t.Errorf("HEAD: %d %v", got.status, got.header)
	}
	if n := r.recorder.Requests("call-1"); asked != 1 || n != 2 { // the second is the test's own
		t.Errorf("%d look-ups of a known call", n-1)
	}
	r.wantRefused("an unknown file", r.do("GET", file+"?file_id=09", basic), "file-not-found", 404)
	r.wantRefused("an unknown call", r.do("GET", "/api/v2/calls/unknown.json", basic), "call-not-found", 404)
	r.wantRefused("no id", r.do("GET", "/api/v2/calls/a.b.json", basic), "bad-call-id", 400)
	r.wantRefused("an extension", r.do("GET", "/api/v2/calls/call-1", basic), "not-found", 404)
}

// answerOfTheRecorder asks the recorder itself.
func (r *rig) answerOfTheRecorder(id string) []byte {
	request := httptest.NewRequest("GET", "/api/v2/calls/"+id+".json", nil)
	request.SetBasicAuth("playback", "recorder-secret")
	w := httptest.NewRecorder()
	r.recorder.ServeHTTP(w, request)
	return w.Body.Bytes()
}

// A scheme refuses everyone, and keeps what it was asked.
type scheme struct {
	err   error
	asked chan access.Request
}

func (s scheme) Admit(r access.Request) (access.Caller, error) {
	s.asked <- r
	return access.Caller{}, s.err
}

func TestRefusalsOfASchemeAreProblems(t *testing.T) {
	for _, c := range []struct {
		err     error
		problem string
		status  int
	}{
		{&access.Unauthenticated{Challenges: []string{"Cookie"}}, "unauthenticated", 401},
		{fmt.Errorf("anna: %w", access.ErrForbidden), "forbidden", 403},
		{fmt.Errorf("dial tcp 127.0.0.1: %w", access.ErrUnavailable), "access-unavailable", 503},
	} {
		s := scheme{c.err, make(chan access.Request, 1)}
		r, _ := guarded(t, func(config *server.Config) { config.Access = access.NewPolicy(access.NewFailures(), false, s) })
		got := r.wantProblem("/recordings/call-2.mp3?file_id=02", c.problem, c.status, patient)
		if asked := <-s.asked; asked.CallID != "call-2" || asked.FileID != "02" || asked.Client != "127.0.0.1" {
			t.Errorf("asked %+v", asked)
		}
		if offers := got.header.Values("WWW-Authenticate"); c.status == 401 && !slices.Equal(offers, []string{"Cookie"}) {
			t.Errorf("offers %q", offers)
		}
		r.get("/recordings/call-2/info?file_id=02")
		if asked := <-s.asked; asked.CallID != "call-2" || asked.FileID != "" {
			t.Errorf("info is about all files, and asked %+v", asked)
		}
	}
}

func TestWhoGuessesIsSlowedDownAndTheAppBesideIsNot(t *testing.T) {
	r, content := guarded(t)
	guesses := map[string]func(h map[string][]string) answer{
		"tokens": func(h map[string][]string) answer {
			h["Authorization"] = []string{"Bearer guess"}
			return r.do("GET", "/recordings/call-1", h)
		},
		"links": func(h map[string][]string) answer {
			return r.do("GET", "/calls/file/call-1/signed?expires=1&sign=guess", h)
		},
	}
	for name, guess := range guesses {
		n := 0
		var got answer
		for got.status != 429 && n < 1000 {
			got = guess(from("192.0.2.1"))
			n++
		}
		if n < 10 || got.status != 429 || got.problemName(t) != "too-many-failures" || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: after %d: %d %s", name, n, got.status, got.body)
		}
		if got := guess(from("192.0.2.2")); got.status == 429 {
			t.Errorf("%s: another address is slowed down as well", name)
		}
	}
	h := from("192.0.2.1")
	h.Set("Authorization", bearer.Get("Authorization"))
	r.wantRecording("a token from there", r.do("GET", "/recordings/call-1", h), content)
	r.wantRecording("a link from there", r.do("GET", r.signed("call-1", ""), from("192.0.2.1")), content)
	if got := r.do("GET", "/recordings/call-1", from("192.0.2.1")); got.status != 401 {
		t.Errorf("no credential from there: %d", got.status)
	}
}

func TestMethodsThatWork(t *testing.T) {
	r, _ := guarded(t)
	for _, c := range []struct{ method, path, allow string }{
		{"POST", "/recordings/call-1", "GET, HEAD"},
		{"POST", "/api/v2/calls/call-1.json/file_url.json", "GET, HEAD"},
		{"PUT", "/calls/file/call-1/signed", "GET, HEAD"},
		{"GET", "/api/v2/file_urls.json", "POST"},
		{"OPTIONS", "/api/v2/file_urls.json", "POST"},
		{"DELETE", "/nowhere", "GET, HEAD"},
	} {
		got := r.do(c.method, c.path, bearer)
		r.wantRefused(c.method+" "+c.path, got, "method-not-allowed", 405)
		if allow := got.header.Values("Allow"); !slices.Equal(allow, []string{c.allow}) {
			t.Errorf("%s %s: Allow %q", c.method, c.path, allow)
		}
	}
}

func TestTheLogSaysWhoPlayed(t *testing.T) {
	r, _ := guarded(t)
	link := r.signed("call-1", "?subject=Anna+M%C3%BCller")
	for _, c := range []struct {
		got      answer
		who, via string
	}{
		{r.do("GET", "/recordings/call-1", bearer), "crm", "token"},
		{r.do("GET", "/api/v2/calls/call-1.json/file", basic), "crm", "token"},
		{r.get(link), "Anna Müller", "link"},
		{r.get(strings.Replace(link, "/signed", "/signed/info", 1)), "Anna Müller", "link"},
		{r.get(link + "&"), "", ""},
		{r.get("/recordings/call-1"), "", ""},
	} {
		record := r.logged(c.got)
		who, _ := record["who"].(string)
		via, _ := record["via"].(string)
		if who != c.who || via != c.via || record["call_id"] != "call-1" {
			t.Errorf("%v, want %s by %s", record, c.who, c.via)
		}
	}
	open := newRig(t, rigConfig{})
	if record := open.logged(open.get("/recordings/call-1")); record["via"] != "anonymous" {
		t.Errorf("%v", record)
	}
}
