package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"storagesrv/cmd/storagesrv/internal/access"
	"storagesrv/cmd/storagesrv/internal/server"
)

func TestASignedLinkPlays(t *testing.T) {
	r, content := guarded(t)
	got := r.do("GET", "/api/v2/calls/call-1.json/file_url.json?expires=600", basic)
	shape := regexp.MustCompile(`^\{"signed_url":"` + regexp.QuoteMeta(r.url) + `/calls/file/call-1/signed\?expires=(\d{10})&sign=[0-9A-Za-z_-]+"\}\n$`)
	found := shape.FindSubmatch(got.body)
	if got.status != 200 || got.header.Get("Content-Type") != "application/json" || got.header.Get("Cache-Control") != "no-store" || found == nil {
		t.Fatalf("%d %v %s", got.status, got.header, got.body)
	}
	expires, err := strconv.ParseInt(string(found[1]), 10, 64)
	if left := time.Until(time.Unix(expires, 0)); err != nil || left < 8*time.Minute || left > 10*time.Minute {
		t.Errorf("it is good for %v, %v", left, err)
	}
	link := r.signed("call-1", "")
	r.wantRecording("the link", r.get(link), content)
	if n := r.recorder.Requests("call-1"); n != 1 {
		t.Errorf("%d look-ups: it takes none to sign", n)
	}
	part := r.do("GET", link, header("Range", "bytes=100-199"))
	if part.status != 206 || string(part.body) != string(content[100:200]) || part.header.Get("Content-Disposition") != `inline; filename="call-1.wav"` {
		t.Errorf("a range: %d %v", part.status, part.header)
	}
	if head := r.do("HEAD", link, nil); head.status != 200 || head.header.Get("Content-Length") != fmt.Sprint(len(content)) || head.header.Get("Set-Cookie") != "" {
		t.Errorf("HEAD: %d %v", head.status, head.header)
	}
	if post := r.post(link, "", nil); post.status != 405 {
		t.Errorf("POST: %d", post.status)
	}
}

func TestALinkIsForWhatItNames(t *testing.T) {
	r, content := guarded(t)
	download := r.get(r.signed("call-1", "?download=1"))
	if r.wantRecording("a download", download, content); download.header.Get("Content-Disposition") != `attachment; filename="call-1.wav"` {
		t.Errorf("%v", download.header)
	}
	second := r.signed("call-2", "?file_id=02")
	r.wantRecording("a file", r.get(second), wav(1002))
	r.wantRefused("both files", r.get(r.signed("call-2", "")), "not-joinable", 409)
	r.wantRefused("an unknown file", r.get(r.signed("call-2", "?file_id=03")), "file-not-found", 404)
	r.wantRefused("an unknown call", r.get(r.signed("nobody", "")), "call-not-found", 404)
	r.wantRefused("an unknown call's info", r.get(strings.Replace(r.signed("nobody", ""), "/signed", "/signed/info", 1)), "call-not-found", 404)
	for link, ids := range map[string]string{second: "02", r.signed("call-2", ""): "01 02", r.signed("call-1", "?download=1"): "01"} {
		got := r.get(strings.Replace(link, "/signed", "/signed/info", 1))
		var info struct {
			Files []struct {
				FileID string `json:"file_id"`
			}
			Playable bool
		}
		if err := json.Unmarshal(got.body, &info); err != nil || got.status != 200 || got.header.Get("Set-Cookie") != "" {
			t.Fatalf("info: %d %s", got.status, got.body)
		}
		var named []string
		for _, file := range info.Files {
			named = append(named, file.FileID)
		}
		if strings.Join(named, " ") != ids || info.Playable != (len(named) == 1) {
			t.Errorf("info by a link to %q: %s", ids, got.body)
		}
	}
	r.wantRefused("info of an unknown file", r.get(strings.Replace(r.signed("call-2", "?file_id=03"), "/signed", "/signed/info", 1)), "file-not-found", 404)
}

func TestWhatCannotBeSigned(t *testing.T) {
	r, _ := guarded(t)
	for _, query := range []string{"?expires=", "?expires=0", "?expires=-1", "?expires=1.5", "?expires=1h", "?expires=+1", "?expires=86401", "?expires=99999999999999999999",
		"?expires=1&expires=2", "?file_id=", "?file_id=a.b", "?file_id=01&file_id=02", "?subject=", "?subject=a&subject=b", "?a=%zz"} {
		r.wantRefused(query, r.do("GET", "/api/v2/calls/call-1.json/file_url.json"+query, bearer), "bad-request", 400)
	}
	for _, query := range []string{"?expires=1", "?expires=86400", "?a=b&a=c", "?download=0", "?subject=" + strings.Repeat("x", 1000)} {
		if link := r.signed("call-1", query); r.get(link).status != 200 {
			t.Errorf("%s: %s does not play", query, link)
		}
	}
	r.wantRefused("no id", r.do("GET", "/api/v2/calls/a_b.json/file_url.json", bearer), "bad-call-id", 400)
	r.wantRefused("an odd host", r.do("GET", "/api/v2/calls/call-1.json/file_url.json", header("Authorization", "Bearer "+token, "Host", "a'b")), "bad-request", 400)
	without, _ := guarded(t, func(config *server.Config) { config.Links = nil })
	for _, got := range []answer{
		without.do("GET", "/api/v2/calls/call-1.json/file_url.json", bearer),
		without.post("/api/v2/file_urls.json", `{"calls": [{"call_id": "call-1"}]}`, bearer),
		without.get("/calls/file/call-1/signed?expires=1&sign=a"),
	} {
		if without.wantRefused("without keys", got, "not-found", 404); !strings.Contains(string(got.body), "signing_keys") {
			t.Errorf("it does not say why: %s", got.body)
		}
	}
}

func TestAPageOfLinks(t *testing.T) {
	r, content := guarded(t)
	got := r.post("/api/v2/file_urls.json", `{"expires": 600, "subject": "anna", "later": {"a": 1}, "calls": [
		{"call_id": "call-1", "note": "x"}, {"call_id": "call-2", "file_id": "02"}, {"call_id": "nobody"},
		{"call_id": "a/b"}, {"call_id": "call-2", "file_id": "a&b"}, {}, null]}`, basic)
	var page struct {
		URLs []map[string]string `json:"urls"`
	}
	if err := json.Unmarshal(got.body, &page); err != nil || got.status != 200 || len(page.URLs) != 7 || !strings.Contains(string(got.body), "&sign=") {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for i, want := range []string{"", "", "", "bad-call-id", "bad-request", "bad-call-id", "bad-call-id"} {
		if link := page.URLs[i]; link["error"] != want || (link["signed_url"] != "") != (want == "") {
			t.Errorf("%d: %v, want %q", i, link, want)
		}
	}
	if r.recorder.Requests("call-1")+r.recorder.Requests("nobody") > 0 {
		t.Error("it takes no look-up to sign")
	}
	link := strings.TrimPrefix(page.URLs[0]["signed_url"], r.url)
	r.wantRecording("the first", r.get(link), content)
	if record := r.logged(r.get(link)); record["who"] != "anna" {
		t.Errorf("%v", record)
	}
	r.wantRecording("the second", r.get(strings.TrimPrefix(page.URLs[1]["signed_url"], r.url)), wav(1002))
	if page.URLs[1]["file_id"] != "02" || page.URLs[1]["call_id"] != "call-2" {
		t.Errorf("%v", page.URLs[1])
	}
	downloads := r.post("/api/v2/file_urls.json", `{"download": true, "calls": [{"call_id": "call-1"}]}`, bearer)
	if !strings.Contains(string(downloads.body), "&download=1") {
		t.Errorf("%s", downloads.body)
	}
	if none := r.post("/api/v2/file_urls.json", `{}`, bearer); none.status != 200 || string(none.body) != "{\"urls\":[]}\n" {
		t.Errorf("%d %s", none.status, none.body)
	}
}

func TestOrdersOfLinksAreBounded(t *testing.T) {
	r, _ := guarded(t)
	calls := func(n int) string { return strings.TrimSuffix(strings.Repeat(`{"call_id":"c"},`, n), ",") }
	for name, body := range map[string]string{
		"nothing":            "",
		"no JSON":            "calls",
		"a list":             "[]",
		"more behind":        "{} {}",
		"an id as number":    `{"calls": [{"call_id": 1}]}`,
		"no whole number":    `{"expires": 1.5, "calls": []}`,
		"a negative number":  `{"expires": -1, "calls": []}`,
		"nothing at all":     `{"expires": 0, "calls": []}`,
		"too long":           `{"expires": 86401, "calls": []}`,
		"too many":           `{"calls": [` + calls(1001) + `]}`,
		"too large":          `{"calls": []}` + strings.Repeat(" ", 64<<10),
		"deep":               `{"calls": ` + strings.Repeat("[", 30_000),
		"a text for seconds": `{"expires": "1h", "calls": []}`,
	} {
		r.wantRefused(name, r.post("/api/v2/file_urls.json", body, bearer), "bad-request", 400)
	}
	if got := r.post("/api/v2/file_urls.json", `{"calls": [`+calls(1000)+`]}`, bearer); got.status != 200 || strings.Count(string(got.body), "signed_url") != 1000 {
		t.Errorf("1,000: %d", got.status)
	}
	id := strings.Repeat("x", 60_000)
	if got := r.post("/api/v2/file_urls.json", `{"calls": [{"call_id": "`+id+`"}]}`, bearer); got.status != 200 || len(got.body) > 1000 {
		t.Errorf("a long id: %d, %d bytes", got.status, len(got.body))
	}
}

func TestAnOrderThatDoesNotComeHoldsNobody(t *testing.T) {
	r, _ := guarded(t)
	r.config.StallTimeout = time.Second
	r.reroute(r.config.Recordings.Entries()...)
	conn := dialRaw(t, r)
	if err := conn.SetDeadline(time.Now().Add(hung)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /api/v2/file_urls.json HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n{", token)
	got, err := io.ReadAll(conn)
	if !strings.HasPrefix(string(got), "HTTP/1.1 400 ") || !strings.Contains(string(got), ":bad-request") {
		t.Errorf("%v: %s", err, got)
	}
}

// Every answer to a link that was changed is a refusal, and most of all none
// with a recording.
func TestEveryChangedCharacterOfALinkIsRefused(t *testing.T) {
	r, _ := guarded(t)
	link := r.signed("call-2", "?file_id=02&download=1&subject=anna")
	const characters = "AZaz09-_=&/%.;?"
	clients := 0
	try := func(changed string) {
		t.Helper()
		if changed == link || strings.ContainsAny(changed, " #") {
			return
		}
		clients++
		request := httptest.NewRequest("GET", "/", nil)
		target, err := url.ParseRequestURI(changed)
		if err != nil { // net/http answers 400 to that
			return
		}
		request.URL, request.Host = target, strings.TrimPrefix(r.url, "http://")
		request.RemoteAddr = "127.0.0.1:1"
		request.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.1", clients/256, clients%256))
		w := httptest.NewRecorder()
		r.server.ServeHTTP(w, request)
		if w.Code != 403 && w.Code != 404 && w.Code != 400 || w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Set-Cookie") != "" {
			t.Fatalf("%s: %d %v", changed, w.Code, w.Header())
		}
		if query := strings.Index(link, "?"); w.Code != 403 && len(changed) > query && changed[:query+1] == link[:query+1] {
			t.Fatalf("%s: %d %s", changed, w.Code, w.Body)
		}
	}
	for i := range link {
		try(link[:i] + link[i+1:])
		for _, c := range []byte(characters) {
			try(link[:i] + string(c) + link[i+1:])
			try(link[:i] + string(c) + link[i:])
		}
		if i > 0 {
			try(link[:i-1] + string(link[i]) + string(link[i-1]) + link[i+1:])
		}
	}
	for _, c := range []byte(characters) {
		try(link + string(c))
	}
	if clients < 3000 {
		t.Errorf("only %d changes", clients)
	}
	r.wantRecording("the link", r.get(link), wav(1002))
}

func TestALinkIsNoLinkToSomethingElse(t *testing.T) {
	r, _ := guarded(t)
	link := r.signed("call-2", "?file_id=02")
	path, query, _ := strings.Cut(link, "?")
	host := strings.TrimPrefix(r.url, "http://")
	for name, c := range map[string]struct {
		link string
		host string
	}{
		"another call":            {strings.Replace(link, "call-2", "call-1", 1), ""},
		"another file":            {strings.Replace(link, "file_id=02", "file_id=01", 1), ""},
		"no file":                 {strings.Replace(link, "&file_id=02", "", 1), ""},
		"a download":              {link + "&download=1", ""},
		"another parameter":       {link + "&a=b", ""},
		"one in front":            {path + "?a=b&" + query, ""},
		"a doubled parameter":     {link + "&file_id=02", ""},
		"the signature twice":     {link + "&" + query, ""},
		"a path in other letters": {strings.Replace(link, "call-2", "call%2D2", 1), ""},
		"another host":            {link, "play.example.lan"},
		"another port":            {link, "127.0.0.1"},
		"a dot behind the host":   {link, strings.Replace(host, ":", ".:", 1)},
		"no host":                 {link, "'"},
	} {
		h := from("192.0.2.1")
		h.Set("Host", c.host)
		r.wantRefused(name, r.do("GET", c.link, h), "link-invalid", 403)
	}
	r.wantRecording("the link", r.get(link), wav(1002))
}

func TestKeysAreRotatedWithoutAnInterruption(t *testing.T) {
	r, content := guarded(t)
	clock := newClock()
	use := func(keys ...access.Key) {
		r.config.Links = clock.keys(keys...)
		r.reroute(r.config.Recordings.Entries()...)
	}
	public := access.Origin{Scheme: "https", Host: "play.example.lan"}
	r.config.Public = &public
	sign := func() string { return strings.TrimPrefix(r.signed("call-1", ""), public.String()) }
	use(october)
	early := sign()
	use(winter, october)
	late := sign()
	r.wantRecording("an old link", r.get(early), content)
	r.wantRecording("a new link", r.get(late), content)
	use(winter)
	r.wantRecording("a new link without the old key", r.get(late), content)
	r.wantRefused("an old link without its key", r.get(early), "link-invalid", 403)
	use(access.Key{ID: winter.ID, Secret: october.Secret})
	r.wantRefused("another key of that id", r.get(late), "link-invalid", 403)
}

func TestWhereLinksLead(t *testing.T) {
	r, _ := guarded(t)
	host := strings.TrimPrefix(r.url, "http://")
	public, _ := guarded(t, func(c *server.Config) {
		c.Public = &access.Origin{Scheme: "https", Host: "play.example.lan", Path: "/play"}
	})
	distrustful, _ := guarded(t)
	distrustful.config.Proxies = nil
	distrustful.reroute(distrustful.config.Recordings.Entries()...)
	for _, c := range []struct {
		rig  *rig
		more []string
		want string
	}{
		{r, nil, "http://" + host},
		{r, []string{"Host", "Play.Example.LAN:80"}, "http://play.example.lan"},
		{r, []string{"X-Forwarded-Proto", "https"}, "https://" + host},
		{r, []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "play.example.lan:443"}, "https://play.example.lan"},
		{r, []string{"X-Forwarded-Host", "evil.example.lan, play.example.lan:8443"}, "http://play.example.lan:8443"},
		{public, []string{"Host", "evil.example.lan", "X-Forwarded-Host", "evil.example.lan"}, "https://play.example.lan/play"},
		{distrustful, []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example.lan", "Host", "play"}, "http://play"},
	} {
		link := c.rig.signed("call-1", "", c.more...)
		if link = strings.Replace(link, "/calls", c.rig.url+"/calls", max(0, 1-strings.Index(link, "/calls"))); !strings.HasPrefix(link, c.want+"/calls/file/call-1/signed?") {
			t.Errorf("%v: %s", c.more, link)
		}
	}
	for _, more := range [][]string{{"X-Forwarded-Proto", "gopher"}, {"X-Forwarded-Host", "a/b"}} {
		r.wantRefused(fmt.Sprint(more), r.do("GET", "/api/v2/calls/call-1.json/file_url.json", header(append(more, "Authorization", "Bearer "+token)...)), "bad-request", 400)
	}
}

// A proxy serves links below a path, and takes that off.
func TestLinksBelowAPathOfAProxy(t *testing.T) {
	var origin access.Origin
	var behind string
	front := httptest.NewServer(http.StripPrefix("/play", &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		target, _ := url.Parse(behind)
		p.SetURL(target)
	}}))
	defer front.Close()
	origin, err := access.ParseOrigin(front.URL + "/play")
	if err != nil {
		t.Fatal(err)
	}
	r, content := guarded(t, func(c *server.Config) { c.Public = &origin })
	behind = r.url
	link := r.signed("call-1", "")
	if !strings.HasPrefix(link, front.URL+"/play/calls/file/") {
		t.Fatalf("signed as %s", link)
	}
	got := r.doURL("GET", link, nil)
	r.wantRecording("through the proxy", got, content)
	if cookie := got.header.Get("Set-Cookie"); !strings.Contains(cookie, "; Path=/play/calls/file/call-1/signed;") {
		t.Errorf("cookie %s", cookie)
	}
}

func BenchmarkSignPage(b *testing.B) {
	r, _ := guarded(b)
	body := `{"subject": "anna", "calls": [` + strings.TrimSuffix(strings.Repeat(`{"call_id":"e03f497d-bdff-1019-102d-68be3896f081"},`, 50), ",") + `]}`
	b.ReportAllocs()
	for b.Loop() {
		if got := r.post("/api/v2/file_urls.json", body, bearer); got.status != 200 {
			b.Fatal(got.status)
		}
	}
}
