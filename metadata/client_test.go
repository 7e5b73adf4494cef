package metadata_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
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

const secret = "hunter2-and-more"

var day = time.Date(2013, 10, 12, 16, 32, 22, 0, time.FixedZone("", -8*60*60))

func sampleCall(id string) metadata.Call {
	return metadata.Call{ID: id, From: "102", To: "101", State: 6, Files: []metadata.File{
		{ID: "01", Start: day, Stop: day.Add(time.Minute), Size: 132000, Path: "/var/recordings/" + id + ".mp3"},
	}}
}

// start serves a recorder that knows the call c1, and returns a client of it.
func start(t *testing.T, config metadata.ClientConfig) (*metadatatest.Recorder, *metadata.Client) {
	t.Helper()
	recorder := metadatatest.New("playback", secret)
	recorder.Set(sampleCall("c1"))
	server := httptest.NewServer(recorder)
	t.Cleanup(server.Close)
	config.URL = server.URL
	if config.Timeout == 0 {
		config.Timeout = patient
	}
	if config.Username == "" {
		config.Username, config.Password = "playback", secret
	}
	return recorder, newClient(t, config)
}

func newClient(t *testing.T, config metadata.ClientConfig) *metadata.Client {
	t.Helper()
	client, err := metadata.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// Time-outs in these tests are short only where an answer is missing on purpose.
const (
	brief   = 2 * time.Second  // and time for a request to arrive
	patient = time.Minute      // as long as a busy machine needs
	slack   = 20 * time.Second // what a busy machine may add to a time-out
)

// wantError checks what the error is, and that it is nothing else besides.
func wantError(t *testing.T, err, want error) {
	t.Helper()
	all := []error{metadata.ErrNotFound, metadata.ErrDenied, metadata.ErrMalformed, metadata.ErrUnavailable,
		metadata.ErrTimeout, context.Canceled, context.DeadlineExceeded}
	for _, e := range all {
		if errors.Is(err, e) != (e == want) {
			t.Errorf("error %v: is %q: %t", err, e, errors.Is(err, e))
		}
	}
}

func TestClientCall(t *testing.T) {
	_, client := start(t, metadata.ClientConfig{})
	call, err := client.Call(t.Context(), "c1")
	if err != nil {
		t.Fatal(err)
	}
	if call.ID != "c1" || call.From != "102" || call.To != "101" || call.InProgress() || call.Stale {
		t.Errorf("call = %+v", call)
	}
	if len(call.Files) != 1 || call.Files[0].Path != "/var/recordings/c1.mp3" || !call.Files[0].Start.Equal(day) {
		t.Errorf("files = %+v", call.Files)
	}
	if !strings.HasPrefix(string(call.Raw), `{"call":{`) {
		t.Errorf("raw = %s", call.Raw)
	}
	if age := time.Since(call.Fetched); age < 0 || age > time.Minute {
		t.Errorf("fetched %v ago", age)
	}
}

func TestClientFaults(t *testing.T) {
	tests := []struct {
		name     string
		fault    metadatatest.Fault
		want     error
		requests int // 0: two or more
	}{
		{"hang", metadatatest.Hang(nil), metadata.ErrTimeout, 1},
		{"delay", metadatatest.Delay(time.Hour), metadata.ErrTimeout, 1},
		{"drip", metadatatest.Drip(50 * time.Millisecond), metadata.ErrTimeout, 1},
		{"reset", metadatatest.Reset(), metadata.ErrUnavailable, 0},
		{"truncated", metadatatest.Truncate(), metadata.ErrUnavailable, 0},
		{"400", metadatatest.Status(400, "bad"), metadata.ErrMalformed, 1},
		{"401", metadatatest.Status(401, "login"), metadata.ErrDenied, 1},
		{"403", metadatatest.Status(403, "no"), metadata.ErrDenied, 1},
		{"404", metadatatest.Status(404, "<html>"), metadata.ErrNotFound, 1},
		{"410", metadatatest.Status(410, ""), metadata.ErrNotFound, 1},
		{"429", metadatatest.Status(429, ""), metadata.ErrUnavailable, 0},
		{"500", metadatatest.Status(500, "traceback"), metadata.ErrUnavailable, 0},
		{"503", metadatatest.Status(503, ""), metadata.ErrUnavailable, 0},
		{"204", metadatatest.Status(204, ""), metadata.ErrMalformed, 1},
		{"login page by redirect", metadatatest.Redirect("/login"), metadata.ErrMalformed, 1},
		{"login page", metadatatest.Body("text/html", "<html>Log in"), metadata.ErrMalformed, 1},
		{"empty", metadatatest.Body("application/json", ""), metadata.ErrMalformed, 1},
		{"cut JSON", metadatatest.Body("application/json", `{"call":{"files":[`), metadata.ErrMalformed, 1},
		{"other call", metadatatest.Body("application/json", `{"call":{"call_id":"c2","files":[]}}`), metadata.ErrMalformed, 1},
		{"wrong type", metadatatest.Body("application/json", `{"call":{"call_id":"c1","files":{}}}`), metadata.ErrMalformed, 1},
		{"endless", metadatatest.Endless(), metadata.ErrMalformed, 1},
		{"gzip bomb", metadatatest.GzipBomb(), metadata.ErrMalformed, 1},
		{"no gzip", notGzip, metadata.ErrMalformed, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			timeout := patient
			switch test.want {
			case metadata.ErrTimeout:
				timeout = brief
			case metadata.ErrUnavailable: // asked again until it is over
				timeout = 3 * time.Second
			}
			recorder, client := start(t, metadata.ClientConfig{Timeout: timeout})
			recorder.Fail("c1", test.fault)
			before := time.Now()
			_, err := client.Call(t.Context(), "c1")
			if took := time.Since(before); took > timeout+slack {
				t.Errorf("took %v", took)
			}
			wantError(t, err, test.want)
			if n := recorder.Requests("c1"); n != test.requests && (test.requests != 0 || n < 2) {
				t.Errorf("%d requests", n)
			}
			if health := client.Health(); health.Up != (test.want == metadata.ErrNotFound) || health.Up != (health.Reason == "") {
				t.Errorf("health = %+v", health)
			}
		})
	}
}

// By default a look-up may take 5 s.
func TestClientWaitsAsLongAsItIsTold(t *testing.T) {
	t.Parallel()
	recorder, client := start(t, metadata.ClientConfig{Timeout: patient})
	recorder.Fail("c1", metadatatest.Delay(6*time.Second))
	if _, err := client.Call(t.Context(), "c1"); err != nil {
		t.Error(err)
	}
}

func TestClientTellsWhatFailedBeforeATimeout(t *testing.T) {
	recorder, client := start(t, metadata.ClientConfig{Timeout: 4 * time.Second})
	recorder.Fail("c1", inTurn(metadatatest.Status(503, ""), metadatatest.Hang(nil)))
	_, err := client.Call(t.Context(), "c1")
	wantError(t, err, metadata.ErrUnavailable)
	if n := recorder.Requests("c1"); n != 2 {
		t.Errorf("%d requests", n)
	}
}

// inTurn returns a fault that is each of faults once, and the last from then on.
func inTurn(faults ...metadatatest.Fault) metadatatest.Fault {
	var mu sync.Mutex
	return func(next http.Handler) http.Handler {
		mu.Lock()
		defer mu.Unlock()
		fault := faults[0]
		if len(faults) > 1 {
			faults = faults[1:]
		}
		return fault(next)
	}
}

// notGzip is a fault that says gzip and is not.
func notGzip(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Write([]byte("this is no gzip"))
	})
}

func TestClientTriesAgain(t *testing.T) {
	for name, fault := range map[string]metadatatest.Fault{
		"503":       metadatatest.Status(503, ""),
		"429":       metadatatest.RetryAfter(429, "0"),
		"reset":     metadatatest.Reset(),
		"truncated": metadatatest.Truncate(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder, client := start(t, metadata.ClientConfig{Timeout: patient})
			recorder.Fail("c1", metadatatest.Times(2, fault))
			if _, err := client.Call(t.Context(), "c1"); err != nil {
				t.Fatal(err)
			}
			// net/http itself repeats a request on a kept connection that breaks.
			if n := recorder.Requests("c1"); n < 3 {
				t.Errorf("%d requests", n)
			}
			if health := client.Health(); !health.Up {
				t.Errorf("health = %+v", health)
			}
		})
	}
}

func TestClientUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	// A port that is in use, so that nobody else comes to listen there.
	deaf, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	client := newClient(t, metadata.ClientConfig{URL: "http://" + deaf.LocalAddr().String(), Timeout: 2 * time.Second})
	_, err = client.Call(t.Context(), "c1")
	wantError(t, err, metadata.ErrUnavailable)
}

func TestClientRetryAfter(t *testing.T) {
	tests := []struct {
		name, value string
		atLeast     time.Duration
		want        error
	}{
		{"fits", "1", time.Second, nil},
		{"date fits", time.Now().Add(2 * time.Second).UTC().Format(http.TimeFormat), 0, nil},
		{"does not fit", "60", 0, metadata.ErrUnavailable},
		{"date does not fit", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), 0, metadata.ErrUnavailable},
		{"overflows", "99999999999999999999999", 0, metadata.ErrUnavailable},
		{"nonsense", "soon", 0, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			recorder, client := start(t, metadata.ClientConfig{Timeout: patient})
			recorder.Fail("", metadatatest.Times(1, metadatatest.RetryAfter(429, test.value)))
			before := time.Now()
			_, err := client.Call(t.Context(), "c1")
			took := time.Since(before)
			if test.want != nil {
				wantError(t, err, test.want)
			} else if err != nil {
				t.Error(err)
			}
			if took < test.atLeast || took > slack {
				t.Errorf("took %v", took)
			}
			if test.want != nil && recorder.Requests("c1") != 1 {
				t.Errorf("%d requests", recorder.Requests("c1"))
			}
		})
	}
}

func TestClientReturnsTheCallersOwnError(t *testing.T) {
	recorder, client := start(t, metadata.ClientConfig{})
	recorder.Fail("c1", metadatatest.Hang(nil))

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := client.Call(ctx, "c1")
	wantError(t, err, context.DeadlineExceeded)

	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	_, err = client.Call(ctx, "c1")
	wantError(t, err, context.Canceled)
	if health := client.Health(); !health.Up {
		t.Errorf("health = %+v", health)
	}
}

func TestClientBoundsRequests(t *testing.T) {
	recorder, client := start(t, metadata.ClientConfig{MaxConcurrent: 3, Timeout: patient})
	var arrived atomic.Int64
	three := make(chan struct{}) // closed when as many are there as may be
	recorder.Fail("", func(next http.Handler) http.Handler {
		if arrived.Add(1) == 3 {
			close(three)
		}
		return metadatatest.Hang(three)(metadatatest.Delay(20 * time.Millisecond)(next))
	})
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			if _, err := client.Call(t.Context(), "c1"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := recorder.MostAtOnce(); n != 3 {
		t.Errorf("%d requests at once", n)
	}
}

func TestClientWaitsForItsTurnWithinTheTimeout(t *testing.T) {
	recorder, client := start(t, metadata.ClientConfig{MaxConcurrent: 1, Timeout: brief})
	recorder.Fail("", metadatatest.Hang(nil))
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			_, err := client.Call(t.Context(), "c1")
			wantError(t, err, metadata.ErrTimeout)
		})
	}
	wg.Wait()
}

func TestClientKeepsConnections(t *testing.T) {
	recorder := metadatatest.New("", "")
	server := httptest.NewUnstartedServer(recorder)
	var mu sync.Mutex
	connections := 0
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			mu.Lock()
			connections++
			mu.Unlock()
		}
	}
	server.Start()
	defer server.Close()
	client := newClient(t, metadata.ClientConfig{URL: server.URL, Timeout: patient})
	recorder.Set(sampleCall("c1"))
	for range 3 {
		client.Call(t.Context(), "c1")
		_, err := client.Call(t.Context(), "unknown")
		wantError(t, err, metadata.ErrNotFound)
	}
	mu.Lock()
	defer mu.Unlock()
	// net/http leaves a connection whose request a busy machine was slow to send.
	if connections > 3 {
		t.Errorf("%d connections for 6 requests", connections)
	}
}

func TestClientAsksNobodyForWhatIsNoID(t *testing.T) {
	recorder, client := start(t, metadata.ClientConfig{})
	for _, id := range []string{"", "a/b", "..", "a_b", "c1?x", "%2e", strings.Repeat("a", 65), "é"} {
		_, err := client.Call(t.Context(), id)
		wantError(t, err, metadata.ErrNotFound)
	}
	if n := recorder.Requests(""); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestClientNeverTellsThePassword(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte("playback:" + secret))
	for _, fault := range []metadatatest.Fault{
		metadatatest.Status(500, "debug page: Authorization: Basic "+basic),
		metadatatest.Status(400, secret),
		metadatatest.Body("text/html", "<p>"+secret),
	} {
		recorder, client := start(t, metadata.ClientConfig{Timeout: brief})
		recorder.Fail("", fault)
		_, err := client.Call(t.Context(), "c1")
		for _, text := range []string{err.Error(), client.Health().Reason} {
			if strings.Contains(text, secret) || strings.Contains(text, basic) {
				t.Errorf("%s", text)
			}
		}
	}
}

func TestClientQuotesLittle(t *testing.T) {
	recorder, client := start(t, metadata.ClientConfig{})
	recorder.Fail("", metadatatest.Status(400, "\x1b[31m"+strings.Repeat("long ", 1000)))
	_, err := client.Call(t.Context(), "c1")
	if text := err.Error(); len(text) > 300 || strings.ContainsAny(text, "\x1b\n") || !strings.Contains(text, "long") {
		t.Errorf("%q", text)
	}
}

func TestClientWrongPassword(t *testing.T) {
	_, client := start(t, metadata.ClientConfig{Username: "playback", Password: "wrong"})
	_, err := client.Call(t.Context(), "c1")
	wantError(t, err, metadata.ErrDenied)
	down := client.Health()
	client.Call(t.Context(), "c1")
	if again := client.Health(); down.Up || again.Since != down.Since {
		t.Errorf("health = %+v, then %+v", down, again)
	}
}

func TestClientHTTPS(t *testing.T) {
	recorder := metadatatest.New("", "")
	recorder.Set(sampleCall("c1"))
	server := httptest.NewUnstartedServer(http.StripPrefix("/miarec", recorder))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it logs the refused certificate
	server.StartTLS()
	defer server.Close()

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	client := newClient(t, metadata.ClientConfig{URL: server.URL + "/miarec/", RootCAs: roots, Timeout: patient})
	if _, err := client.Call(t.Context(), "c1"); err != nil {
		t.Error(err)
	}
	recorder.Fail("", metadatatest.Reset())
	stranger := newClient(t, metadata.ClientConfig{URL: server.URL + "/miarec", Timeout: patient})
	_, err := stranger.Call(t.Context(), "c1")
	wantError(t, err, metadata.ErrUnavailable)
	if n := recorder.Requests(""); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestNewClientRefuses(t *testing.T) {
	for _, config := range []metadata.ClientConfig{
		{},
		{URL: "recorder:8080"},
		{URL: "ftp://recorder"},
		{URL: "http://"},
		{URL: "http://playback:" + secret + "@recorder"},
		{URL: "http://playback:" + secret + "@recorder:port"},
		{URL: "http://recorder/?key=" + secret},
		{URL: "http://recorder", Timeout: -1},
		{URL: "http://recorder", MaxConcurrent: -1},
	} {
		_, err := metadata.NewClient(config)
		if err == nil || strings.Contains(fmt.Sprint(err), secret) {
			t.Errorf("%q: %v", config.URL, err)
		}
	}
}

func TestClientMemoryIsBounded(t *testing.T) {
	recorder, client := start(t, metadata.ClientConfig{})
	padded := sampleCall("c1")
	padded.Raw = bytes.Join([][]byte{[]byte(`{"call":{"files":[],"x":"`), []byte(`"}}`)}, bytes.Repeat([]byte("a"), 1<<20))
	recorder.Set(padded)
	_, err := client.Call(t.Context(), "c1")
	wantError(t, err, metadata.ErrMalformed)
	padded.Raw = append([]byte(`{"call":{"files":null}}`), bytes.Repeat([]byte(" "), 1<<19)...)
	recorder.Set(padded)
	if _, err := client.Call(t.Context(), "c1"); err != nil {
		t.Error(err)
	}
}

func TestClientHidesAPasswordThatTheRecorderRepeats(t *testing.T) {
	const password = "s3cr3t-Pa55w0rd"
	for _, body := range []string{
		`{"call":{"call_id":"` + password + `","files":[]}}`,
		`{"call":{"files":[{"file_id":"` + password + `!"}]}}`,
	} {
		recorder := metadatatest.New("", "")
		recorder.Fail("c1", metadatatest.Body("application/json", body))
		server := httptest.NewServer(recorder)
		defer server.Close()
		client := newClient(t, metadata.ClientConfig{URL: server.URL, Username: "u", Password: password, Timeout: patient})
		_, err := client.Call(t.Context(), "c1")
		wantError(t, err, metadata.ErrMalformed)
		if told := err.Error() + client.Health().Reason; strings.Contains(told, password) {
			t.Error(told)
		}
	}
}
