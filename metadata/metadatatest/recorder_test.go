package metadatatest_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"storagesrv/metadata"
	"storagesrv/metadata/metadatatest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(settled{m})
}

// settled gives what the tests have ended time to end: goleak waits for less
// than a second, which a busy machine may need.
type settled struct{ *testing.M }

func (m settled) Run() int {
	code := m.M.Run()
	for deadline := time.Now().Add(30 * time.Second); code == 0 && goleak.Find() != nil && time.Now().Before(deadline); {
	}
	return code
}

// ask returns status and body, or what broke.
func ask(t *testing.T, url, path string) (int, string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("playback", "secret")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func start(t *testing.T, username string) (*metadatatest.Recorder, string) {
	t.Helper()
	recorder := metadatatest.New(username, "secret")
	server := httptest.NewServer(recorder)
	t.Cleanup(server.Close)
	return recorder, server.URL
}

func TestRecorderServesWhatWasSetLast(t *testing.T) {
	recorder, url := start(t, "playback")
	catalog, err := metadata.NewCatalog("", []byte(`[{"call_id":"c1","files":[]},{"call_id":"c2","files":[]},{"call_id":"c3","files":[]}]`), "")
	if err != nil {
		t.Fatal(err)
	}
	recorder.SetCatalog(catalog)
	recorder.Set(metadata.Call{ID: "c2", State: 4, Start: time.Unix(0, 0).UTC(), Files: []metadata.File{{ID: "01", Path: "/a"}}})
	recorder.Remove("c3")
	for path, want := range map[string]string{
		"/api/v2/calls/c1.json": `{"call":{"call_id":"c1","files":[]}}`,
		"/api/v2/calls/c2.json": `{"call":{"call_id":"c2","call_state":4,"files":[{"file_id":"01","file_path":"/a","file_size":0}],"from_number":"","start_time":"1970-01-01T00:00:00+0000","to_number":""}}`,
	} {
		if status, body, err := ask(t, url, path); status != 200 || body != want || err != nil {
			t.Errorf("%s: %d %s %v", path, status, body, err)
		}
	}
	for _, path := range []string{"/api/v2/calls/c3.json", "/api/v2/calls/c4.json", "/api/v2/calls/c1", "/"} {
		if status, _, _ := ask(t, url, path); status != 404 {
			t.Errorf("%s: %d", path, status)
		}
	}
	if n := recorder.Requests("c2"); n != 1 {
		t.Errorf("%d requests for c2", n)
	}
	if n := recorder.Requests(""); n != 4 {
		t.Errorf("%d requests", n)
	}
}

func TestRecorderWantsALogin(t *testing.T) {
	recorder, url := start(t, "somebody")
	recorder.Set(metadata.Call{ID: "c1"})
	if status, _, _ := ask(t, url, "/api/v2/calls/c1.json"); status != 401 {
		t.Errorf("status %d", status)
	}
}

func TestFaultsBreakTheConnection(t *testing.T) {
	recorder, url := start(t, "playback")
	recorder.Set(metadata.Call{ID: "c1"})
	recorder.Fail("c1", metadatatest.Reset())
	if _, _, err := ask(t, url, "/api/v2/calls/c1.json"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset: %v", err)
	}
	recorder.Fail("c1", metadatatest.Truncate())
	status, body, err := ask(t, url, "/api/v2/calls/c1.json")
	if status != 200 || body == "" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("truncate: %d %s %v", status, body, err)
	}
	recorder.Fail("c1", metadatatest.Drip(time.Microsecond))
	if _, dripped, err := ask(t, url, "/api/v2/calls/c1.json"); len(dripped) <= len(body) || err != nil {
		t.Errorf("drip: %s %v", dripped, err)
	}
	recorder.Fail("c1", nil)
	if status, _, err := ask(t, url, "/api/v2/calls/c1.json"); status != 200 || err != nil {
		t.Errorf("mended: %d %v", status, err)
	}
}
