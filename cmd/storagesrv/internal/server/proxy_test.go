package server_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"storagesrv/cmd/storagesrv/internal/server"
	"storagesrv/cmd/storagesrv/internal/spool"
	"storagesrv/metadata"
	"storagesrv/metadata/metadatatest"
)

// recorders are those that answer ranges, and those that do not.
var recorders = map[string]metadatatest.Content{
	"ranges":            {ETag: `"v1"`, Modified: longAgo},
	"ranges, no ETag":   {Modified: longAgo},
	"ranges, unmarked":  {},
	"whole":             {ETag: `"v1"`, Modified: longAgo, NoRanges: true},
	"whole, unmarked":   {NoRanges: true},
	"whole, no length":  {ETag: `"v1"`, NoRanges: true, NoLength: true},
	"ranges, no length": {ETag: `"v1"`, NoLength: true},
}

func TestProxyPlaysWhatTheStorageCannot(t *testing.T) {
	data := wav(100_000)
	for kind, content := range recorders {
		for _, b := range allBroken {
			t.Run(kind+", "+b.name, func(t *testing.T) {
				t.Parallel()
				content := content
				r := newRig(t, rigConfig{fallback: by(t, server.Proxy)})
				b.call(r, "call-1")
				content.Data = data
				r.recorder.SetContent("call-1", "01", content)
				got := r.get("/recordings/call-1?download=1")
				if got.status != 200 || !bytes.Equal(got.body, data) || got.err != nil {
					t.Fatalf("status %d, %d bytes, %v", got.status, len(got.body), got.err)
				}
				for field, want := range map[string]string{
					"Content-Type": "audio/wav", "Content-Length": fmt.Sprint(len(data)), "Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff",
					"Content-Disposition": `attachment; filename="call-1.wav"`, "ETag": content.ETag,
				} {
					if got.header.Get(field) != want {
						t.Errorf("%s: %q", field, got.header.Get(field))
					}
				}
				settled := content.ETag != "" || !content.Modified.IsZero()
				if noStore := got.header.Get("Cache-Control") == "no-store"; noStore == settled {
					t.Errorf("Cache-Control: %s", got.header.Get("Cache-Control"))
				}
				r.checkRanges(data)
				if record := r.logged(got); record["fallback"] != "proxy" || record["store"] != "recorder" {
					t.Errorf("logged %v", record)
				}
				if n := r.metric(`storagesrv_truncated_total{store="recorder"}`); n != "0" {
					t.Errorf("%s bodies cut", n)
				}
			})
		}
	}
}

// checkRanges asks for ranges of call-1 of all kinds, and for some by chance.
func (r *rig) checkRanges(data []byte) {
	r.t.Helper()
	size := len(data)
	for _, c := range []struct {
		ranges     string
		first, end int // the first is -1 for 416
	}{
		{"bytes=0-", 0, size}, {"bytes=0-1", 0, 2}, {"bytes=32767-32768", 32767, 32769}, {"bytes=100000-", 100_000, size},
		{"bytes=-1", size - 1, size}, {"bytes=-50000", size - 50_000, size}, {fmt.Sprintf("bytes=%d-", size-1), size - 1, size},
		{"bytes=5-99999999999", 5, size}, {fmt.Sprintf("bytes=%d-", size), -1, 0}, {"bytes=-0", -1, 0},
	} {
		r.checkRange(data, c.ranges, c.first, c.end)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		first := random.IntN(size)
		end := first + 1 + random.IntN(size-first)
		r.checkRange(data, fmt.Sprintf("bytes=%d-%d", first, end-1), first, end)
	}
	got := r.do("GET", "/recordings/call-1", header("Range", "bytes=0-9,50000-50009,-10"))
	for _, part := range [][]byte{data[:10], data[50_000:50_010], data[size-10:]} {
		if got.status != 206 || !bytes.Contains(got.body, part) {
			r.t.Errorf("several ranges: status %d, %d bytes", got.status, len(got.body))
		}
	}
}

func (r *rig) checkRange(data []byte, ranges string, first, end int) {
	r.t.Helper()
	got := r.do("GET", "/recordings/call-1", header("Range", ranges))
	if first < 0 {
		if got.status != 416 || got.header.Get("Content-Range") != fmt.Sprintf("bytes */%d", len(data)) {
			r.t.Errorf("%s: status %d, %s", ranges, got.status, got.header.Get("Content-Range"))
		}
		return
	}
	if want := fmt.Sprintf("bytes %d-%d/%d", first, end-1, len(data)); got.status != 206 || got.header.Get("Content-Range") != want {
		r.t.Errorf("%s: status %d, %q, want %q: %.200s", ranges, got.status, got.header.Get("Content-Range"), want, got.body[:min(200, len(got.body))])
	}
	if !bytes.Equal(got.body, data[first:end]) || got.err != nil {
		r.t.Errorf("%s: %d bytes, or others; %v", ranges, len(got.body), got.err)
	}
}

func TestProxyPassesRangesOn(t *testing.T) {
	r := newRig(t, rigConfig{fallback: by(t, server.Proxy)})
	allBroken[0].call(r, "call-1")
	data := wav(1_000_000)
	r.recorder.SetContent("call-1", "01", metadatatest.Content{Data: data, ETag: `"v1"`})
	r.checkRange(data, "bytes=1000000-1000999", 1_000_000, 1_001_000)
	fetches := r.recorder.Fetches()
	want := metadatatest.Fetch{CallID: "call-1", FileID: "01", Method: "GET", Range: "bytes=1000000-1000999", IfRange: `"v1"`}
	if len(fetches) != 2 || fetches[0].Range != "bytes=0-32767" || fetches[1] != want {
		t.Errorf("%+v", fetches)
	}
	if n := r.metric("storagesrv_recorder_bytes_total"); n != "33768" {
		t.Errorf("%s bytes counted", n)
	}
	if n := r.metric(`storagesrv_response_bytes_total{store="recorder"}`); n != "1000" {
		t.Errorf("%s bytes sent", n)
	}
}

func TestProxyFetchesTheWholeOnce(t *testing.T) {
	for _, size := range []int{10, 200_000} {
		r := newRig(t, rigConfig{fallback: by(t, server.Proxy)})
		allBroken[0].call(r, "call-1")
		data := wav(size)
		r.recorder.SetContent("call-1", "01", metadatatest.Content{Data: data, NoRanges: true})
		for i := range 5 {
			r.checkRange(data, fmt.Sprintf("bytes=%d-", i), i, len(data))
		}
		if fetches := r.recorder.Fetches(); len(fetches) != 1 {
			t.Errorf("%+v", fetches)
		}
	}
}

func TestProxyValidators(t *testing.T) {
	for kind, content := range recorders {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t, rigConfig{fallback: by(t, server.Proxy)})
			allBroken[0].call(r, "call-1")
			content.Data = wav(50_000)
			r.recorder.SetContent("call-1", "01", content)
			for _, c := range []struct {
				field, value string
				status       int
				holds        bool // there is what it is compared with
			}{
				{"If-None-Match", `"v1"`, 304, content.ETag != ""},
				{"If-None-Match", `"v2"`, 206, true},
				{"If-Modified-Since", longAgo.Format(http.TimeFormat), 304, !content.Modified.IsZero()},
				{"If-Range", `"v1"`, 206, content.ETag != ""},
				{"If-Range", longAgo.Format(http.TimeFormat), 206, !content.Modified.IsZero()},
				{"If-Match", `"v2"`, 412, true},
			} {
				want := c.status
				if !c.holds {
					want = map[int]int{304: 206, 206: 200}[c.status]
				}
				if got := r.do("GET", "/recordings/call-1", header("Range", "bytes=40000-40009", c.field, c.value)); got.status != want {
					t.Errorf("%s: %s: status %d, want %d", c.field, c.value, got.status, want)
				}
			}
		})
	}
}

func TestProxyHeadFetchesNoMoreThanItNeeds(t *testing.T) {
	for kind, content := range recorders {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t, rigConfig{fallback: by(t, server.Proxy)})
			allBroken[0].call(r, "call-1")
			content.Data = wav(5_000_000)
			r.recorder.SetContent("call-1", "01", content)
			got := r.do("HEAD", "/recordings/call-1", nil)
			if got.status != 200 || got.header.Get("Content-Length") != fmt.Sprint(len(content.Data)) || got.header.Get("Content-Type") != "audio/wav" {
				t.Errorf("status %d, %v", got.status, got.header)
			}
			if whole := content.NoRanges && content.NoLength; whole {
				return // nobody knows how long it is before the end
			}
			var bytes float64
			fmt.Sscan(r.metric("storagesrv_recorder_bytes_total"), &bytes)
			if bytes > 100_000 {
				t.Errorf("%g bytes fetched", bytes)
			}
		})
	}
}

// TestProxyHeadOfWhatIsProvedByItsEnd: then there is no way but to fetch it whole.
func TestProxyHeadOfWhatIsProvedByItsEnd(t *testing.T) {
	r := newRig(t, rigConfig{fallback: by(t, server.Proxy)})
	allBroken[0].call(r, "call-1")
	data := mp4WithIndexAtTheEnd(t)
	r.recorder.SetContent("call-1", "01", metadatatest.Content{Data: data, NoRanges: true})
	for _, method := range []string{"HEAD", "GET", "HEAD"} {
		got := r.do(method, "/recordings/call-1", nil)
		if got.status != 200 || got.header.Get("Content-Type") != "video/mp4" || got.header.Get("Content-Length") != fmt.Sprint(len(data)) {
			t.Errorf("%s: status %d, %v %.200s", method, got.status, got.header, got.body[:min(200, len(got.body))])
		}
	}
	if fetches := r.recorder.Fetches(); len(fetches) != 1 {
		t.Errorf("%+v", fetches)
	}
}

func TestProxyServesNothingButMedia(t *testing.T) {
	page := []byte("<!DOCTYPE html><title>Log in</title>" + strings.Repeat("<p>gossip", 10_000))
	for kind, content := range recorders {
		for _, c := range []struct {
			name    string
			data    []byte
			problem string
			status  int
		}{
			{"a page", page, "unrecognized", 422},
			{"ciphertext", noise, "unrecognized", 422},
			{"marked ciphertext", append([]byte("Salted__"), noise...), "encrypted", 422},
			{"nothing", nil, "no-recording", 404},
			{"a bare header", wav(0), "no-recording", 404},
		} {
			t.Run(kind+", "+c.name, func(t *testing.T) {
				t.Parallel()
				content := content
				r := newRig(t, rigConfig{fallback: by(t, server.Proxy), headerless: []string{".wav"}})
				allBroken[0].call(r, "call-1")
				content.Data = c.data
				r.recorder.SetContent("call-1", "01", content)
				r.wantProblem("/recordings/call-1", c.problem, c.status, patient)
				if got := r.do("GET", "/recordings/call-1", header("Range", "bytes=40000-")); got.status != c.status {
					t.Errorf("a range of it: status %d", got.status)
				}
			})
		}
	}
}

func TestProxyDoesNotBelieveWrongRanges(t *testing.T) {
	data := wav(100_000)
	size := len(data)
	ifSeek := func(fault metadatatest.Fault) metadatatest.Fault {
		return func(next http.Handler) http.Handler {
			wrong := fault(next)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if ranges := r.Header.Get("Range"); ranges == "" || strings.HasPrefix(ranges, "bytes=0-") {
					next.ServeHTTP(w, r)
					return
				}
				wrong.ServeHTTP(w, r)
			})
		}
	}
	ifRange := func(fault metadatatest.Fault) metadatatest.Fault {
		return func(next http.Handler) http.Handler {
			wrong := fault(next)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Range") == "" {
					next.ServeHTTP(w, r)
					return
				}
				wrong.ServeHTTP(w, r)
			})
		}
	}
	contentRange := func(value string) metadatatest.Fault { return metadatatest.Header("Content-Range", value) }
	for name, fault := range map[string]metadatatest.Fault{
		"another beginning":            ifRange(contentRange(fmt.Sprintf("bytes 1-32768/%d", size))),
		"no size":                      ifRange(contentRange("bytes 0-32767/*")),
		"none":                         ifRange(contentRange("")),
		"416":                          ifRange(metadatatest.Status(416, "gossip")),
		"another length":               ifRange(metadatatest.Header("Content-Length", "100")),
		"another seek":                 ifSeek(contentRange(fmt.Sprintf("bytes 0-9/%d", size))),
		"another size after a seek":    ifSeek(contentRange("bytes 50000-199999/500000")),
		"416 after a seek":             ifSeek(metadatatest.Status(416, "gossip")),
		"the whole after a seek":       ifSeek(withoutRange),
		"another version after a seek": ifSeek(metadatatest.Header("ETag", `"v2"`)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, rigConfig{fallback: by(t, server.Proxy)})
			allBroken[0].call(r, "call-1")
			r.recorder.SetContent("call-1", "01", metadatatest.Content{Data: data, ETag: `"v1"`})
			r.recorder.FailFile("call-1", fault)
			r.checkRange(data, "bytes=50000-", 50_000, size)
			r.checkRanges(data)
		})
	}
}

// withoutRange is a fault that answers with the whole.
func withoutRange(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Range")
		next.ServeHTTP(w, r)
	})
}

func TestProxyCutsABodyThatTheRecorderBreaks(t *testing.T) {
	t.Parallel()
	data := wav(500_000)
	for kind, content := range recorders {
		for name, fault := range map[string]metadatatest.Fault{
			"cut":   metadatatest.Truncate(),
			"stops": metadatatest.HangAfter(600_000, nil),
		} {
			t.Run(kind+", "+name, func(t *testing.T) {
				t.Parallel()
				content := content
				r := newRig(t, rigConfig{fallback: by(t, server.Proxy), recorder: metadata.ClientConfig{StallTimeout: time.Second}})
				allBroken[0].call(r, "call-1")
				content.Data = data
				r.recorder.SetContent("call-1", "01", content)
				r.recorder.FailFile("call-1", func(next http.Handler) http.Handler {
					bad := fault(next)
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if strings.HasPrefix(r.Header.Get("Range"), "bytes=0-") && !content.NoRanges {
							next.ServeHTTP(w, r) // the beginning comes
							return
						}
						bad.ServeHTTP(w, r)
					})
				})
				got := r.get("/recordings/call-1")
				switch {
				case content.NoRanges && content.NoLength && name == "stops": // nothing is sent before all is there
					if name := got.problemName(t); got.status < 503 {
						t.Errorf("status %d %s", got.status, name)
					}
				case name == "cut" && !content.NoRanges && kind != "ranges, unmarked":
					// It goes on at another answer, each of which is cut in half.
					if got.err == nil || len(got.body) < len(data)*3/4 || !bytes.HasPrefix(data, got.body) {
						t.Errorf("status %d, %d bytes, %v", got.status, len(got.body), got.err)
					}
				default:
					if got.status != 200 || got.err == nil || !bytes.HasPrefix(data, got.body) {
						t.Errorf("status %d, %d bytes, %v", got.status, len(got.body), got.err)
					}
				}
				if r.logged(got)["level"] != "WARN" {
					t.Errorf("logged %v", r.logged(got))
				}
			})
		}
	}
}

func TestProxyNeverMixesVersions(t *testing.T) {
	first, second := wav(2_000_000), bytes.Repeat([]byte{7}, 4_000_044)
	copy(second, first[:44])
	for _, marked := range []bool{true, false} {
		r := newRig(t, rigConfig{fallback: by(t, server.Proxy)})
		allBroken[0].call(r, "call-1")
		set := func(data []byte, tag string) {
			if !marked {
				tag = ""
			}
			r.recorder.SetContent("call-1", "01", metadatatest.Content{Data: data, ETag: tag})
		}
		set(first, `"v1"`)
		release, arrived := make(chan struct{}), make(chan struct{})
		var once sync.Once
		r.recorder.FailFile("call-1", func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasPrefix(r.Header.Get("Range"), "bytes=0-") {
					once.Do(func() { close(arrived) })
					<-release
				}
				next.ServeHTTP(w, r)
			})
		})
		done := make(chan answer)
		go func() { done <- r.do("GET", "/recordings/call-1", header("Range", "bytes=3000000-")) }()
		<-arrived
		set(second, `"v2"`)
		close(release)
		got := <-done
		if !marked { // their sizes are the same, so nobody can tell; one answer is of one version
			if !bytes.Equal(got.body, second[3_000_000:]) {
				t.Errorf("unmarked: status %d, %d bytes", got.status, len(got.body))
			}
			continue
		}
		if got.status != 206 || got.header.Get("ETag") != `"v2"` || !bytes.Equal(got.body, second[3_000_000:]) {
			t.Errorf("status %d, %s, %d bytes", got.status, got.header.Get("ETag"), len(got.body))
		}
	}
}

// TestProxySpoolIsShared: listeners that come at once, and one that comes later.
func TestProxySpoolIsShared(t *testing.T) {
	r := newRig(t, rigConfig{fallback: by(t, server.Proxy)})
	allBroken[0].call(r, "call-1")
	data := wav(500_000)
	r.recorder.SetContent("call-1", "01", metadatatest.Content{Data: data, NoRanges: true})
	r.wantPlays("/recordings/call-1", data)
	var listeners sync.WaitGroup
	for i := range 8 {
		listeners.Go(func() { r.checkRange(data, fmt.Sprintf("bytes=%d-", i*100_000), i*100_000, len(data)) })
	}
	listeners.Wait()
	if fetches := r.recorder.Fetches(); len(fetches) != 1 {
		t.Errorf("%d fetches", len(fetches))
	}
	if n := r.metric("storagesrv_spool_bytes"); n != fmt.Sprintf("%.6e", float64(len(data))) && n != fmt.Sprint(len(data)) {
		t.Errorf("%s bytes in the spool", n)
	}
}

// TestProxyPlaysWhileTheRecordingComes: what was asked for first is there before
// the recorder has sent the rest.
func TestProxyPlaysWhileTheRecordingComes(t *testing.T) {
	r := newRig(t, rigConfig{fallback: by(t, server.Proxy)})
	allBroken[0].call(r, "call-1")
	data := wav(500_000)
	r.recorder.SetContent("call-1", "01", metadatatest.Content{Data: data, NoRanges: true})
	release := make(chan struct{})
	r.recorder.FailFile("call-1", metadatatest.HangAfter(300_000, release))
	r.checkRange(data, "bytes=0-99999", 0, 100_000)
	r.checkRange(data, "bytes=200000-200009", 200_000, 200_010)
	late := make(chan answer)
	go func() { late <- r.do("GET", "/recordings/call-1", header("Range", "bytes=-10")) }()
	close(release)
	if got := <-late; got.status != 206 || !bytes.Equal(got.body, data[len(data)-10:]) {
		t.Errorf("status %d, %d bytes", got.status, len(got.body))
	}
	if fetches := r.recorder.Fetches(); len(fetches) != 1 {
		t.Errorf("%+v", fetches)
	}
}

func TestProxyRefusesWhatTheSpoolCannotHold(t *testing.T) {
	for _, noLength := range []bool{false, true} {
		r := newRig(t, rigConfig{fallback: withSpool(t, server.Proxy, spool.Config{Size: 1 << 20})})
		for _, id := range []string{"small", "large"} {
			allBroken[0].call(r, id)
		}
		small := wav(100_000)
		r.recorder.SetContent("small", "01", metadatatest.Content{Data: small, NoRanges: true, NoLength: noLength})
		r.recorder.SetContent("large", "01", metadatatest.Content{Data: wav(1_000_000), NoRanges: true, NoLength: noLength})
		r.wantPlays("/recordings/small", small)
		r.wantProblem("/recordings/large", "spool-full", 503, patient)
		r.wantPlays("/recordings/small", small)
		// With ranges nothing needs to be held.
		large := metadatatest.Content{Data: wav(1_000_000), NoLength: noLength}
		r.recorder.SetContent("large", "01", large)
		r.wantPlays("/recordings/large", large.Data)
	}
}

func TestProxyEndsWhatNobodyWaitsFor(t *testing.T) {
	for kind, content := range map[string]metadatatest.Content{"ranges": {ETag: `"v1"`}, "whole": {NoRanges: true}} {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t, rigConfig{fallback: withSpool(t, server.Proxy, spool.Config{Size: 64 << 20, Linger: time.Millisecond})})
			allBroken[0].call(r, "call-1")
			content.Data = wav(500_000)
			r.recorder.SetContent("call-1", "01", content)
			ended := make(chan struct{})
			r.recorder.FailFile("call-1", func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.HasPrefix(r.Header.Get("Range"), "bytes=0-") && !content.NoRanges {
						next.ServeHTTP(w, r)
						return
					}
					metadatatest.HangAfter(100_000, nil)(next).ServeHTTP(w, r)
					close(ended)
				})
			})
			ctx, leave := context.WithCancel(t.Context())
			request, err := http.NewRequestWithContext(ctx, "GET", r.url+"/recordings/call-1", nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := r.client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if _, err := io.ReadFull(response.Body, make([]byte, 50_000)); err != nil {
				t.Fatal(err)
			}
			leave()
			select {
			case <-ended:
			case <-time.After(hung):
				t.Error("the recorder goes on")
			}
		})
	}
}

// TestProxyLetsGoOfTheRecorderForASlowListener: the recorder has one download to
// give, and somebody who takes nothing does not hold it.
func TestProxyLetsGoOfTheRecorderForASlowListener(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigConfig{fallback: by(t, server.Proxy), recorder: metadata.ClientConfig{MaxDownloads: 1}})
	data := wav(20_000_000)
	for _, id := range []string{"slow", "other"} {
		allBroken[0].call(r, id)
		r.recorder.SetContent(id, "01", metadatatest.Content{Data: data, ETag: `"v1"`})
	}
	response, err := r.client.Get(r.url + "/recordings/slow")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	begun := make([]byte, 100_000)
	if _, err := io.ReadFull(response.Body, begun); err != nil {
		t.Fatal(err)
	}
	if got := r.do("GET", "/recordings/other", header("Range", "bytes=50000-50009")); got.status != 206 {
		t.Errorf("status %d %s", got.status, got.body)
	}
	rest, err := io.ReadAll(response.Body)
	if err != nil || !bytes.Equal(append(begun, rest...), data) {
		t.Errorf("the slow one: %d bytes, %v", len(begun)+len(rest), err)
	}
}

func TestProxyOfACallInProgressSharesNothing(t *testing.T) {
	for kind, content := range recorders {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t, rigConfig{fallback: by(t, server.Proxy)})
			call := r.call("call-1", r.file("a.wav", append([]byte("Salted__"), noise...)))
			call.State = 4
			r.recorder.Set(call)
			for _, n := range []int{10_000, 20_000, 30_000} {
				content.Data = wav(n)
				r.recorder.SetContent("call-1", "01", content)
				got := r.get("/recordings/call-1")
				if got.status != 200 || !bytes.Equal(got.body, content.Data) || got.header.Get("ETag") != "" || got.header.Get("Last-Modified") != "" ||
					got.header.Get("Cache-Control") != "no-store" {
					t.Errorf("status %d, %d bytes, %v", got.status, len(got.body), got.header)
				}
			}
		})
	}
}

// mp4WithIndexAtTheEnd returns a film whose index is far from its beginning.
func mp4WithIndexAtTheEnd(t *testing.T) []byte {
	t.Helper()
	film, err := os.ReadFile("../../../../storage/media/testdata/h264.mp4")
	if err != nil {
		t.Fatal(err)
	}
	index := bytes.Index(film, []byte("moov")) - 4
	if index < len(film)/2 {
		t.Fatalf("the index is at %d of %d", index, len(film))
	}
	free := make([]byte, 200_000)
	binary.BigEndian.PutUint32(free, uint32(len(free)))
	copy(free[4:], "free")
	return slices.Concat(film[:index], free, film[index:])
}
