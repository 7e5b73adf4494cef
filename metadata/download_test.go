package metadata_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"storagesrv/metadata"
	"storagesrv/metadata/metadatatest"
)

func readAll(t *testing.T, body io.ReadCloser) string {
	t.Helper()
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// longAgo is when contents in these tests were made.
var longAgo = time.Date(2013, 10, 12, 16, 38, 56, 0, time.UTC)

// letters are a hundred thousand bytes that differ from their neighbours.
var letters = strings.Repeat("abcdefghij", 10_000)

func TestOpenFileWhole(t *testing.T) {
	for name, content := range map[string]metadatatest.Content{
		"plain":     {ETag: `"v1"`, Modified: longAgo},
		"no ranges": {ETag: `"v1"`, Modified: longAgo, NoRanges: true},
		"no length": {ETag: `"v1"`, Modified: longAgo, NoLength: true},
	} {
		recorder, client := start(t, metadata.ClientConfig{})
		content.Data = []byte(letters)
		recorder.SetContent("c1", "01", content)
		d, err := client.OpenFile(t.Context(), "c1", "01", nil)
		if err != nil {
			t.Fatal(name, err)
		}
		length := int64(len(letters))
		if content.NoLength {
			length = -1
		}
		if d.IsPart || d.Length != length || d.Size != length || d.Validator != (metadata.Validator{ETag: `"v1"`, Modified: longAgo}) {
			t.Errorf("%s: %+v", name, d)
		}
		if got := readAll(t, d.Body); got != letters {
			t.Errorf("%s: %d bytes", name, len(got))
		}
	}
}

func TestOpenFilePart(t *testing.T) {
	recorder, client := start(t, metadata.ClientConfig{})
	recorder.SetContent("c1", "", metadatatest.Content{Data: []byte(letters), ETag: `"v1"`})
	size := int64(len(letters))
	for _, c := range []struct{ first, last, length int64 }{
		{0, 0, 1}, {0, size - 1, size}, {99, 1234, 1136}, {size - 1, size - 1, 1}, {size - 5, size + 5, 5}, {size, size + 5, 0}, {2 * size, 3 * size, 0},
	} {
		d, err := client.OpenFile(t.Context(), "c1", "", &metadata.Part{First: c.first, Last: c.last})
		if err != nil {
			t.Fatal(err)
		}
		if !d.IsPart || d.Size != size || d.Length != c.length {
			t.Errorf("%+v: %+v", c, d)
		}
		if got := readAll(t, d.Body); c.length > 0 && got != letters[c.first:c.first+c.length] {
			t.Errorf("%+v: %d bytes", c, len(got))
		}
	}
	if last := recorder.Fetches()[2]; last != (metadatatest.Fetch{CallID: "c1", Method: "GET", Range: "bytes=99-1234"}) {
		t.Errorf("%+v", last)
	}
}

func TestOpenFileOfOneVersionOnly(t *testing.T) {
	for name, versions := range map[string][2]metadatatest.Content{
		"by ETag": {{ETag: `"v1"`}, {ETag: `"v2"`}},
		"by date": {{Modified: longAgo}, {Modified: longAgo.Add(time.Second)}},
	} {
		recorder, client := start(t, metadata.ClientConfig{})
		set := func(c metadatatest.Content) {
			c.Data = []byte(letters)
			recorder.SetContent("c1", "01", c)
		}
		set(versions[0])
		d, err := client.OpenFile(t.Context(), "c1", "01", &metadata.Part{First: 0, Last: 9})
		if err != nil {
			t.Fatal(err)
		}
		d.Body.Close()
		part := &metadata.Part{First: 10, Last: 19, Of: d.Validator}
		if d, err = client.OpenFile(t.Context(), "c1", "01", part); err != nil || readAll(t, d.Body) != "abcdefghij" {
			t.Errorf("%s: %v", name, err)
		}
		set(versions[1])
		if _, err = client.OpenFile(t.Context(), "c1", "01", part); !errors.Is(err, metadata.ErrChanged) {
			t.Errorf("%s: %v", name, err)
		}
		// A recorder that does not heed If-Range gives itself away.
		recorder.FailFile("c1", func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del("If-Range")
				next.ServeHTTP(w, r)
			})
		})
		if _, err = client.OpenFile(t.Context(), "c1", "01", part); !errors.Is(err, metadata.ErrChanged) {
			t.Errorf("%s, without If-Range: %v", name, err)
		}
	}
}

func TestOpenFileBelievesOnlyStrongValidators(t *testing.T) {
	recorder, client := start(t, metadata.ClientConfig{})
	for _, c := range []struct {
		field, value string
		want         metadata.Validator
	}{
		{"ETag", `"v1"`, metadata.Validator{ETag: `"v1"`}},
		{"ETag", `""`, metadata.Validator{ETag: `""`}},
		{"ETag", `W/"v1"`, metadata.Validator{}},
		{"ETag", `v1`, metadata.Validator{}},
		{"ETag", `"`, metadata.Validator{}},
		{"ETag", `"v 1"`, metadata.Validator{}},
		{"ETag", `"v1", "v2"`, metadata.Validator{}},
		{"ETag", `"` + strings.Repeat("a", 300) + `"`, metadata.Validator{}},
		{"Last-Modified", longAgo.Format(http.TimeFormat), metadata.Validator{Modified: longAgo}},
		{"Last-Modified", time.Now().UTC().Format(http.TimeFormat), metadata.Validator{}},
		{"Last-Modified", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), metadata.Validator{}},
		{"Last-Modified", "yesterday", metadata.Validator{}},
	} {
		recorder.SetContent("c1", "01", metadatatest.Content{Data: []byte(letters)})
		recorder.FailFile("c1", metadatatest.Header(c.field, c.value))
		d, err := client.OpenFile(t.Context(), "c1", "01", nil)
		if err != nil {
			t.Fatal(err)
		}
		d.Body.Close()
		if d.Validator != c.want {
			t.Errorf("%s: %s: %+v", c.field, c.value, d.Validator)
		}
	}
}

func TestOpenFileFaults(t *testing.T) {
	part := &metadata.Part{First: 10, Last: 19}
	wrongRange := func(value string) metadatatest.Fault { return metadatatest.Header("Content-Range", value) }
	for name, c := range map[string]struct {
		fault metadatatest.Fault
		part  *metadata.Part
		want  error
	}{
		"401":                 {metadatatest.Status(401, ""), nil, metadata.ErrDenied},
		"403":                 {metadatatest.Status(403, ""), nil, metadata.ErrDenied},
		"404":                 {metadatatest.Status(404, ""), nil, metadata.ErrNotFound},
		"500":                 {metadatatest.Status(500, ""), nil, metadata.ErrUnavailable},
		"429":                 {metadatatest.RetryAfter(429, "60"), nil, metadata.ErrUnavailable},
		"reset":               {metadatatest.Reset(), nil, metadata.ErrUnavailable},
		"hang":                {metadatatest.Hang(nil), nil, metadata.ErrTimeout},
		"hang in a page":      {errorPageThatHangs, nil, metadata.ErrTimeout},
		"redirect":            {metadatatest.Redirect("/login"), nil, metadata.ErrMalformed},
		"204":                 {metadatatest.Status(204, ""), nil, metadata.ErrMalformed},
		"206 for the whole":   {metadatatest.Status(206, ""), nil, metadata.ErrMalformed},
		"416 for the whole":   {metadatatest.Status(416, ""), nil, metadata.ErrMalformed},
		"gzip":                {metadatatest.Header("Content-Encoding", "gzip"), nil, metadata.ErrMalformed},
		"end by close":        {withoutLength, nil, metadata.ErrMalformed},
		"416 inside":          {metadatatest.Status(416, ""), part, metadata.ErrWrongRange},
		"other first":         {wrongRange("bytes 0-9/100000"), part, metadata.ErrWrongRange},
		"other last":          {wrongRange("bytes 10-20/100000"), part, metadata.ErrWrongRange},
		"too little":          {wrongRange("bytes 10-18/100000"), part, metadata.ErrWrongRange},
		"beyond the end":      {wrongRange("bytes 10-19/15"), part, metadata.ErrWrongRange},
		"no size":             {wrongRange("bytes 10-19/*"), part, metadata.ErrWrongRange},
		"no range":            {wrongRange("bytes */100000"), part, metadata.ErrWrongRange},
		"other unit":          {wrongRange("items 10-19/100000"), part, metadata.ErrWrongRange},
		"nonsense":            {wrongRange("bytes +10-19/100000"), part, metadata.ErrWrongRange},
		"overflow":            {wrongRange("bytes 10-19/99999999999999999999"), part, metadata.ErrWrongRange},
		"missing":             {wrongRange(""), part, metadata.ErrWrongRange},
		"length of another":   {metadatatest.Header("Content-Length", "9"), part, metadata.ErrWrongRange},
		"a login page":        {metadatatest.Status(401, "login"), part, metadata.ErrDenied},
		"hang before a range": {metadatatest.Hang(nil), part, metadata.ErrTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := patient
			if c.want == metadata.ErrTimeout || c.want == metadata.ErrUnavailable {
				timeout = brief
			}
			recorder, client := start(t, metadata.ClientConfig{Timeout: timeout})
			recorder.SetContent("c1", "01", metadatatest.Content{Data: []byte(letters)})
			recorder.FailFile("c1", c.fault)
			d, err := client.OpenFile(t.Context(), "c1", "01", c.part)
			if d != nil || !errors.Is(err, c.want) {
				t.Fatalf("%v, %v", d, err)
			}
			if c.want != metadata.ErrWrongRange {
				wantError(t, err, c.want)
			}
		})
	}
}

// errorPageThatHangs is a fault that begins an error page.
func errorPageThatHangs(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(500)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
}

// withoutLength is a fault that answers as HTTP/1.0 may.
func withoutLength(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(conn, "HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n%s", letters)
		conn.Close()
	})
}

func TestOpenFileBodyFaults(t *testing.T) {
	for name, c := range map[string]struct {
		fault metadatatest.Fault
		want  error
	}{
		"cut":            {metadatatest.Truncate(), metadata.ErrUnavailable},
		"less than said": {metadatatest.Header("Content-Length", "100001"), metadata.ErrUnavailable},
		"stops":          {metadatatest.HangAfter(50_000, nil), metadata.ErrTimeout},
		"drips":          {metadatatest.Drip(10 * time.Millisecond), metadata.ErrTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder, client := start(t, metadata.ClientConfig{Timeout: patient, StallTimeout: brief})
			recorder.SetContent("c1", "01", metadatatest.Content{Data: []byte(letters)})
			recorder.FailFile("c1", c.fault)
			d, err := client.OpenFile(t.Context(), "c1", "01", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Body.Close()
			got, err := io.ReadAll(d.Body)
			wantError(t, err, c.want)
			if !strings.HasPrefix(letters, string(got)) {
				t.Errorf("%d bytes of something else", len(got))
			}
			if _, again := d.Body.Read(make([]byte, 1)); again != err {
				t.Errorf("then %v", again)
			}
		})
	}
}

// TestOpenFileWaitsForAReaderThatPauses: only waits for the recorder count.
func TestOpenFileWaitsForAReaderThatPauses(t *testing.T) {
	recorder, client := start(t, metadata.ClientConfig{Timeout: patient, StallTimeout: brief})
	recorder.SetContent("c1", "01", metadatatest.Content{Data: []byte(strings.Repeat(letters, 100))})
	d, err := client.OpenFile(t.Context(), "c1", "01", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(d.Body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(brief + brief/4) // nobody waits for the recorder meanwhile
	if got := readAll(t, d.Body); len(got) != 100*len(letters)-1000 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestOpenFileEndsWithItsContext(t *testing.T) {
	recorder, client := start(t, metadata.ClientConfig{Timeout: patient})
	recorder.SetContent("c1", "01", metadatatest.Content{Data: []byte(letters)})
	recorder.FailFile("c1", metadatatest.HangAfter(10, nil))
	ctx, cancel := context.WithCancel(t.Context())
	d, err := client.OpenFile(ctx, "c1", "01", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(d.Body, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = d.Body.Read(make([]byte, 10))
	wantError(t, err, context.Canceled)
	d.Body.Close()

	_, err = client.OpenFile(ctx, "c1", "01", nil)
	wantError(t, err, context.Canceled)
}

func TestOpenFileCloseEndsARead(t *testing.T) {
	recorder, client := start(t, metadata.ClientConfig{Timeout: patient})
	recorder.SetContent("c1", "01", metadatatest.Content{Data: []byte(letters)})
	recorder.FailFile("c1", metadatatest.HangAfter(10, nil))
	d, err := client.OpenFile(t.Context(), "c1", "01", nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := io.ReadAll(d.Body)
		ended <- err
	}()
	d.Body.Close()
	wantError(t, <-ended, metadata.ErrUnavailable)
	d.Body.Close()
}

func TestOpenFileBoundsDownloads(t *testing.T) {
	recorder, client := start(t, metadata.ClientConfig{MaxDownloads: 2, MaxConcurrent: 1, Timeout: brief})
	recorder.SetContent("c1", "01", metadatatest.Content{Data: []byte(letters)})
	open := func() *metadata.Download {
		d, err := client.OpenFile(t.Context(), "c1", "01", nil)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	first, second := open(), open()
	_, err := client.OpenFile(t.Context(), "c1", "01", nil)
	wantError(t, err, metadata.ErrTimeout)
	if _, err := client.Call(t.Context(), "c1"); err != nil {
		t.Errorf("a look-up waits for downloads: %v", err)
	}
	first.Body.Close()
	first.Body.Close()
	third := open()
	_, err = client.OpenFile(t.Context(), "c1", "01", nil)
	wantError(t, err, metadata.ErrTimeout)
	second.Body.Close()
	third.Body.Close()
}

func TestOpenFileTriesAgain(t *testing.T) {
	recorder, client := start(t, metadata.ClientConfig{Timeout: patient, MaxDownloads: 1})
	recorder.SetContent("c1", "01", metadatatest.Content{Data: []byte(letters)})
	recorder.FailFile("c1", metadatatest.Times(2, metadatatest.Status(503, "")))
	d, err := client.OpenFile(t.Context(), "c1", "01", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, d.Body); got != letters {
		t.Errorf("%d bytes", len(got))
	}
	if n := len(recorder.Fetches()); n != 3 {
		t.Errorf("%d requests", n)
	}
}

func TestOpenFileAsksNobodyForWhatIsNoID(t *testing.T) {
	recorder, client := start(t, metadata.ClientConfig{})
	for _, ids := range [][2]string{{"", ""}, {"a/b", ""}, {"..", ""}, {"c1", "../x"}, {"c1", "a?b"}, {"c1", strings.Repeat("a", 65)}} {
		_, err := client.OpenFile(t.Context(), ids[0], ids[1], nil)
		wantError(t, err, metadata.ErrNotFound)
		_, err = client.SignedURL(t.Context(), ids[0], ids[1], time.Hour)
		wantError(t, err, metadata.ErrNotFound)
	}
	if n := len(recorder.Fetches()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestOpenFileKeepsConnections(t *testing.T) {
	recorder, client := start(t, metadata.ClientConfig{})
	recorder.SetContent("c1", "01", metadatatest.Content{Data: []byte(letters)})
	// The address of a client is that of its connection.
	var mu sync.Mutex
	peers := make(map[string]bool)
	recorder.FailFile("c1", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			host, port, _ := net.SplitHostPort(r.RemoteAddr)
			peers[host+port] = true
			next.ServeHTTP(w, r)
		})
	})
	for range 3 {
		d, err := client.OpenFile(t.Context(), "c1", "01", &metadata.Part{First: 0, Last: 9999})
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, d.Body)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(peers) != 1 {
		t.Errorf("%d connections", len(peers))
	}
}
