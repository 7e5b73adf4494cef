package server_test

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// header makes a header of names and values in turn.
func header(pairs ...string) http.Header {
	h := make(http.Header)
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// A span is a part of the recording.
type span struct{ from, to int }

// A requestCase is a request and the exact answer to it. In a header, $ETAG
// stands for the recording's validator and $SIZE for its size.
type requestCase struct {
	name    string
	method  string
	path    string // "" is /recordings/call-1
	header  http.Header
	status  int
	parts   []span // of the recording, in the body; several are multipart/byteranges
	want    http.Header
	problem string
	text    string // the exact body of an answer that is neither
}

const (
	lastModified = "Sat, 12 Oct 2013 16:38:56 GMT"
	before       = "Sat, 12 Oct 2013 16:38:55 GMT"
	after        = "Sat, 12 Oct 2013 16:38:57 GMT"
)

func requestCases(size int) []requestCase {
	whole := []span{{0, size}}
	get := func(name, field, value string, status int, parts []span, want ...string) requestCase {
		return requestCase{name: name, method: "GET", header: header(field, value), status: status, parts: parts, want: header(want...)}
	}
	partly := func(name, ranges string, from, to int) requestCase {
		return get(name, "Range", ranges, 206, []span{{from, to}}, "Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, size))
	}
	with := func(name string, status int, parts []span, fields ...string) requestCase {
		return requestCase{name: name, method: "GET", header: header(fields...), status: status, parts: parts}
	}
	path := func(name, path string, status int, parts []span, problem string) requestCase {
		return requestCase{name: name, method: "GET", path: path, status: status, parts: parts, problem: problem}
	}
	method := func(method string) requestCase {
		return requestCase{name: "method " + method, method: method, status: 405, problem: "method-not-allowed", want: header("Allow", "GET, HEAD")}
	}
	const unsatisfiable = "invalid range: failed to overlap\n"
	return []requestCase{
		{name: "GET", method: "GET", status: 200, parts: whole, want: header("Content-Type", "audio/wav", "Content-Length", "$SIZE",
			"Accept-Ranges", "bytes", "ETag", "$ETAG", "Last-Modified", lastModified, "X-Content-Type-Options", "nosniff",
			"Content-Disposition", `inline; filename="call-1.wav"`, "Cache-Control", "private, max-age=60")},
		{name: "HEAD", method: "HEAD", status: 200, want: header("Content-Type", "audio/wav", "Content-Length", "$SIZE",
			"Accept-Ranges", "bytes", "ETag", "$ETAG", "Last-Modified", lastModified)},
		{name: "HEAD with a range", method: "HEAD", header: header("Range", "bytes=0-9"), status: 200,
			want: header("Content-Length", "$SIZE", "Content-Range", "")},
		{name: "HEAD of what nobody knows", method: "HEAD", path: "/recordings/nobody", status: 404},

		partly("Safari's probe", "bytes=0-1", 0, 2),
		partly("from the start", "bytes=0-", 0, size),
		partly("first byte", "bytes=0-0", 0, 1),
		partly("last byte", fmt.Sprintf("bytes=%d-", size-1), size-1, size),
		partly("middle", "bytes=1000-40999", 1000, 41000),
		partly("across SFTP packets", "bytes=32767-32768", 32767, 32769),
		partly("suffix", "bytes=-500", size-500, size),
		partly("suffix of one", "bytes=-1", size-1, size),
		partly("suffix longer than the file", "bytes=-99999999", 0, size),
		partly("end beyond the file", "bytes=1000-99999999", 1000, size),
		partly("spaces", "bytes= 10 - 19 ", 10, 20),
		partly("leading zeros", "bytes=0010-0019", 10, 20),
		partly("an empty range beside a good one", "bytes=,10-19,", 10, 20),
		partly("one beyond the end beside a good one", "bytes=99999999-,10-19", 10, 20),
		get("two ranges", "Range", "bytes=0-9,20-29", 206, []span{{0, 10}, {20, 30}}),
		get("overlapping ranges", "Range", "bytes=0-99,50-149", 206, []span{{0, 100}, {50, 150}}),
		get("ranges backwards", "Range", "bytes=-10,0-9", 206, []span{{size - 10, size}, {0, 10}}),
		get("three big ranges", "Range", "bytes=0-30000,35000-60000,65000-70000", 206, []span{{0, 30001}, {35000, 60001}, {65000, 70001}}),
		get("16 ranges", "Range", "bytes=0-0"+strings.Repeat(",2-2", 15), 206, append([]span{{0, 1}}, repeat(span{2, 3}, 15)...)),
		get("17 ranges", "Range", "bytes=0-0"+strings.Repeat(",2-2", 16), 200, whole),
		get("ranges larger than the file", "Range", "bytes=0-,0-", 200, whole),
		{name: "start beyond the end", method: "GET", header: header("Range", "bytes=99999999-"), status: 416,
			text: unsatisfiable, want: header("Content-Range", "bytes */$SIZE", "ETag", "", "Cache-Control", "no-store")},
		{name: "start at the end", method: "GET", header: header("Range", fmt.Sprintf("bytes=%d-", size)), status: 416, text: unsatisfiable},
		{name: "backwards", method: "GET", header: header("Range", "bytes=9-0"), status: 416, text: "invalid range\n"},
		{name: "negative", method: "GET", header: header("Range", "bytes=--5"), status: 416, text: "invalid range\n"},
		{name: "no numbers", method: "GET", header: header("Range", "bytes=a-b"), status: 416, text: "invalid range\n"},
		{name: "overflow", method: "GET", header: header("Range", "bytes=0-99999999999999999999"), status: 416, text: "invalid range\n"},
		{name: "a suffix of nothing", method: "GET", header: header("Range", "bytes=-0"), status: 416, text: unsatisfiable},
		partly("a suffix of nothing beside a good one", "bytes=-00,10-19", 10, 20),
		get("another unit", "Range", "seconds=0-9", 200, whole),
		get("no unit", "Range", "0-9", 200, whole),
		get("an empty Range", "Range", "", 200, whole),
		get("no range in it", "Range", "bytes=", 200, whole),

		get("If-None-Match", "If-None-Match", "$ETAG", 304, nil, "ETag", "$ETAG", "Cache-Control", "private, max-age=60", "Content-Length", ""),
		get("If-None-Match, weak", "If-None-Match", "W/$ETAG", 304, nil),
		get("If-None-Match, in a list", "If-None-Match", `"other", $ETAG`, 304, nil),
		get("If-None-Match *", "If-None-Match", "*", 304, nil),
		get("If-None-Match, other", "If-None-Match", `"other"`, 200, whole),
		get("If-None-Match, unquoted", "If-None-Match", "other", 200, whole),
		get("If-Match", "If-Match", "$ETAG", 200, whole),
		get("If-Match *", "If-Match", "*", 200, whole),
		get("If-Match, other", "If-Match", `"other"`, 412, nil),
		get("If-Match, weak", "If-Match", "W/$ETAG", 412, nil),
		get("If-Modified-Since, same", "If-Modified-Since", lastModified, 304, nil),
		get("If-Modified-Since, after", "If-Modified-Since", after, 304, nil),
		get("If-Modified-Since, before", "If-Modified-Since", before, 200, whole),
		get("If-Modified-Since, no date", "If-Modified-Since", "yesterday", 200, whole),
		get("If-Unmodified-Since, same", "If-Unmodified-Since", lastModified, 200, whole),
		get("If-Unmodified-Since, before", "If-Unmodified-Since", before, 412, nil),
		with("If-None-Match outweighs If-Modified-Since", 200, whole, "If-None-Match", `"other"`, "If-Modified-Since", after),
		with("If-Match outweighs If-Unmodified-Since", 200, whole, "If-Match", "$ETAG", "If-Unmodified-Since", before),
		with("If-Range, same", 206, []span{{10, 20}}, "Range", "bytes=10-19", "If-Range", "$ETAG"),
		with("If-Range, other", 200, whole, "Range", "bytes=10-19", "If-Range", `"other"`),
		with("If-Range, weak", 200, whole, "Range", "bytes=10-19", "If-Range", "W/$ETAG"),
		with("If-Range, same date", 206, []span{{10, 20}}, "Range", "bytes=10-19", "If-Range", lastModified),
		with("If-Range, other date", 200, whole, "Range", "bytes=10-19", "If-Range", after),
		with("If-Range without Range", 200, whole, "If-Range", "$ETAG"),
		with("a Range that cannot be, of what is not modified", 304, nil, "Range", "bytes=99999999-", "If-None-Match", "$ETAG"),
		with("a Range of what was modified", 412, nil, "Range", "bytes=0-9", "If-Match", `"other"`),
		with("gzip is not for audio", 200, whole, "Accept-Encoding", "gzip"),
		with("Accept does not choose", 200, whole, "Accept", "text/html"),

		path("extension", "/recordings/call-1.wav", 200, whole, ""),
		path("another extension", "/recordings/call-1.mp3", 200, whole, ""),
		path("file_id", "/recordings/call-1?file_id=01", 200, whole, ""),
		path("unknown query", "/recordings/call-1?_=123&x[]=y", 200, whole, ""),
		path("percent-encoded id", "/recordings/call%2D1", 200, whole, ""),
		{name: "download", method: "GET", path: "/recordings/call-1?download=1", status: 200, parts: whole,
			want: header("Content-Disposition", `attachment; filename="call-1.wav"`)},
		{name: "download a part", method: "GET", path: "/recordings/call-1?file_id=01&download=1", header: header("Range", "bytes=0-9"), status: 206,
			parts: []span{{0, 10}}, want: header("Content-Disposition", `attachment; filename="call-1-01.wav"`)},
		path("unknown file_id", "/recordings/call-1?file_id=99", 404, nil, "file-not-found"),
		path("odd file_id", "/recordings/call-1?file_id=../01", 400, nil, "bad-request"),
		path("empty file_id", "/recordings/call-1?file_id=", 400, nil, "bad-request"),
		path("two file_ids", "/recordings/call-1?file_id=01&file_id=02", 400, nil, "bad-request"),
		path("broken query", "/recordings/call-1?file_id=%zz", 400, nil, "bad-request"),
		path("unknown call", "/recordings/nobody", 404, nil, "call-not-found"),
		path("odd id", "/recordings/call_1", 400, nil, "bad-call-id"),
		path("long id", "/recordings/"+strings.Repeat("a", 65), 400, nil, "bad-call-id"),
		path("id of dots", "/recordings/..", 400, nil, "bad-call-id"),
		path("id that climbs", "/recordings/%2e%2e%2fetc", 400, nil, "bad-call-id"),
		path("id with NUL", "/recordings/call-1%00", 400, nil, "bad-call-id"),
		path("id with a space", "/recordings/call-1%20", 400, nil, "bad-call-id"),
		path("odd extension", "/recordings/call-1.m/3", 404, nil, "not-found"),
		path("long extension", "/recordings/call-1.abcdef", 400, nil, "bad-call-id"),
		path("empty extension", "/recordings/call-1.", 400, nil, "bad-call-id"),
		path("two extensions", "/recordings/call-1.tar.gz", 400, nil, "bad-call-id"),
		path("trailing slash", "/recordings/call-1/", 404, nil, "not-found"),
		path("no id", "/recordings/", 404, nil, "not-found"),
		path("double slash", "//recordings/call-1", 404, nil, "not-found"),
		path("dots in the path", "/recordings/../recordings/call-1", 404, nil, "not-found"),
		path("root", "/", 404, nil, "not-found"),
		path("metrics are not public", "/metrics", 404, nil, "not-found"),
		method("POST"), method("PUT"), method("DELETE"), method("PATCH"), method("OPTIONS"), method("TRACE"), method("PROPFIND"),
	}
}

func repeat(s span, n int) (spans []span) {
	for range n {
		spans = append(spans, s)
	}
	return spans
}

func TestRequests(t *testing.T) {
	t.Run("mount", func(t *testing.T) { testRequests(t, mounted, false) })
	t.Run("sftp", func(t *testing.T) { testRequests(t, overSFTP, true) })
}

// testRequests runs the table of requests against one store and, to compare,
// against the mount, whose answers must be the same.
func testRequests(t *testing.T, store makeStore, compare bool) {
	content := wav(50_000)
	tested, reference := newRig(t, rigConfig{store: store}), newRig(t, rigConfig{})
	for _, r := range []*rig{tested, reference} {
		r.call("call-1", r.file("20131012/call 1.wav", content))
	}
	etag := tested.get("/recordings/call-1").header.Get("ETag")
	if !strings.HasPrefix(etag, `"`) || len(etag) < 10 {
		t.Fatalf("ETag %q is not strong and quoted", etag)
	}
	for _, c := range requestCases(len(content)) {
		t.Run(c.name, func(t *testing.T) {
			expand := strings.NewReplacer("$ETAG", etag, "$SIZE", fmt.Sprint(len(content)))
			request := c.header.Clone()
			for field, values := range request {
				request.Set(field, expand.Replace(values[0]))
			}
			path := c.path
			if path == "" {
				path = "/recordings/call-1"
			}
			got := tested.do(c.method, path, request)
			c.check(t, got, content, expand)
			if compare {
				sameAnswer(t, got, reference.do(c.method, path, request))
			}
		})
	}
}

func (c *requestCase) check(t *testing.T, got answer, content []byte, expand *strings.Replacer) {
	t.Helper()
	if got.err != nil || got.status != c.status {
		t.Fatalf("status %d, %v; want %d\n%.300q", got.status, got.err, c.status, got.body)
	}
	for field := range c.want {
		if g, w := got.header.Get(field), expand.Replace(c.want.Get(field)); g != w {
			t.Errorf("%s: %q, want %q", field, g, w)
		}
	}
	if cached, named := got.header.Get("Cache-Control"), got.header.Get("Content-Disposition"); got.status >= 400 && (cached != "no-store" || named != "") {
		t.Errorf("an answer that is not of the recording: Cache-Control %q, Content-Disposition %q", cached, named)
	}
	switch {
	case c.problem != "":
		if name := got.problemName(t); name != c.problem {
			t.Errorf("problem %s, want %s", name, c.problem)
		}
	case len(c.parts) > 1:
		checkMultipart(t, got, content, c.parts)
	case len(c.parts) == 1:
		if want := content[c.parts[0].from:c.parts[0].to]; !bytes.Equal(got.body, want) {
			t.Errorf("body of %d bytes differs from the %d of the file", len(got.body), len(want))
		}
	case string(got.body) != c.text:
		t.Errorf("body %.300q, want %q", got.body, c.text)
	}
}

func checkMultipart(t *testing.T, got answer, content []byte, parts []span) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(got.header.Get("Content-Type"))
	if err != nil || kind != "multipart/byteranges" {
		t.Fatalf("Content-Type %q", got.header.Get("Content-Type"))
	}
	reader := multipart.NewReader(bytes.NewReader(got.body), params["boundary"])
	for _, want := range parts {
		part, err := reader.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(part)
		if err != nil || !bytes.Equal(body, content[want.from:want.to]) {
			t.Errorf("part %v: %d bytes, %v", want, len(body), err)
		}
		if g, w := part.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-%d/%d", want.from, want.to-1, len(content)); g != w {
			t.Errorf("Content-Range %q, want %q", g, w)
		}
		if g := part.Header.Get("Content-Type"); g != "audio/wav" {
			t.Errorf("Content-Type of a part %q", g)
		}
	}
	if _, err := reader.NextRawPart(); err != io.EOF {
		t.Errorf("more parts than asked for: %v", err)
	}
}

// sameAnswer compares the answers of two servers, but for what is random.
func sameAnswer(t *testing.T, a, b answer) {
	t.Helper()
	for _, x := range []*answer{&a, &b} {
		if _, params, err := mime.ParseMediaType(x.header.Get("Content-Type")); err == nil && params["boundary"] != "" {
			x.header.Set("Content-Type", "multipart/byteranges")
			x.body = bytes.ReplaceAll(x.body, []byte(params["boundary"]), []byte("boundary"))
		}
		x.body = bytes.ReplaceAll(x.body, []byte(x.header.Get("X-Request-Id")), []byte("request-id"))
		x.header.Del("X-Request-Id")
		x.header.Del("Date")
	}
	if a.status != b.status || !bytes.Equal(a.body, b.body) || fmt.Sprint(a.header) != fmt.Sprint(b.header) {
		t.Errorf("stores answer differently: %d %v and %d %v", a.status, a.header, b.status, b.header)
	}
}

func TestRandomRangesEqualTheFile(t *testing.T) {
	for name, store := range inProcess {
		t.Run(name, func(t *testing.T) { testRandomRanges(t, store) })
	}
}

func testRandomRanges(t *testing.T, store makeStore) {
	content := wav(100_000)
	r := newRig(t, rigConfig{store: store})
	r.call("call-1", r.file("a.wav", content))
	rapid.Check(t, func(t *rapid.T) {
		for range rapid.IntRange(1, 10).Draw(t, "ranges") {
			from := rapid.IntRange(0, len(content)-1).Draw(t, "from")
			to := rapid.IntRange(from, len(content)-1).Draw(t, "to")
			got := r.do("GET", "/recordings/call-1", header("Range", fmt.Sprintf("bytes=%d-%d", from, to)))
			if got.status != 206 || !bytes.Equal(got.body, content[from:to+1]) {
				t.Fatalf("%d-%d: status %d, %d bytes, %v", from, to, got.status, len(got.body), got.err)
			}
		}
	})
}
