package access_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"storagesrv/cmd/storagesrv/internal/access"
)

const (
	patient = 20 * time.Second // for an answer that will come, on a busy machine
	soon    = 300 * time.Millisecond
)

func newForward(t testing.TB, config access.ForwardConfig) *access.Forward {
	t.Helper()
	if config.Headers == nil {
		config.Headers = []string{"Cookie", "Authorization"}
	}
	if config.Timeout == 0 {
		config.Timeout = patient
	}
	f, err := access.NewForward(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// app is a web app on loopback.
func app(t testing.TB, handler http.HandlerFunc) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL + "/may-play?by=storagesrv"
}

func cookie(value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Cookie", value) }
}

func TestForwardTellsTheAppWhatIsAskedFor(t *testing.T) {
	var asked *http.Request
	f := newForward(t, access.ForwardConfig{
		Headers: []string{"cookie", "Authorization", "Accept-Language"},
		URL:     app(t, func(w http.ResponseWriter, r *http.Request) { asked = r.Clone(context.Background()) }),
	})
	r := httptest.NewRequest(http.MethodHead, "http://play.example.lan/recordings/call-1?file_id=02&token=a%20b", nil)
	for _, name := range []string{
		"X-Original-Method", "X-Original-URI", "X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Uri",
		"X-Forwarded-For", "X-Storagesrv-Call-Id", "X-Storagesrv-File-Id", "X-Storagesrv-Anything", "X-Forwarded-User", "X-Secret",
	} {
		r.Header.Set(name, "forged")
	}
	r.Header["Cookie"] = []string{"a=1", "b=2"}
	r.Header.Set("Range", "bytes=0-1")
	request := access.Request{HTTP: r, Client: "192.0.2.7", CallID: "call-1", FileID: "02", Proto: "https"}
	if caller, err := f.Admit(request); err != nil || caller != (access.Caller{Via: access.ByForward}) {
		t.Fatalf("%+v, %v", caller, err)
	}
	want := http.Header{
		"Cookie": {"a=1", "b=2"}, "User-Agent": {"storagesrv"},
		"X-Original-Method": {"HEAD"}, "X-Original-Uri": {"/recordings/call-1?file_id=02&token=a%20b"},
		"X-Forwarded-Method": {"HEAD"}, "X-Forwarded-Uri": {"/recordings/call-1?file_id=02&token=a%20b"},
		"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"play.example.lan"}, "X-Forwarded-For": {"192.0.2.7"},
		"X-Storagesrv-Call-Id": {"call-1"}, "X-Storagesrv-File-Id": {"02"},
	}
	if got := asked.Header; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if asked.Method != http.MethodGet || asked.RequestURI != "/may-play?by=storagesrv" || asked.ContentLength != 0 {
		t.Errorf("%s %s with %d bytes", asked.Method, asked.RequestURI, asked.ContentLength)
	}

	request.FileID, request.Proto, r.Header = "", "", http.Header{"X-Storagesrv-File-Id": {"forged"}}
	if _, err := f.Admit(request); err != nil || len(asked.Header["X-Storagesrv-File-Id"]) > 0 || asked.Header.Get("X-Forwarded-Proto") != "http" {
		t.Errorf("%v, without a file and credentials: %v", err, asked.Header)
	}
}

func TestForwardByStatus(t *testing.T) {
	const unavailable, unauthenticated, forbidden = "unavailable", "unauthenticated", "forbidden"
	for status, want := range map[int]string{
		200: "", 201: "", 204: "", 206: "", 299: "",
		300: unauthenticated, 301: unauthenticated, 302: unauthenticated, 303: unauthenticated, 304: unauthenticated, 307: unauthenticated, 308: unauthenticated,
		401: unauthenticated, 403: forbidden,
		400: unavailable, 402: unavailable, 404: unavailable, 405: unavailable, 407: unavailable, 429: unavailable, 500: unavailable, 502: unavailable,
		503: unavailable, 504: unavailable, 599: unavailable, 101: unavailable, 600: unavailable, 999: unavailable,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			results := make(chan string, 10)
			f := newForward(t, access.ForwardConfig{
				CacheTTL: time.Hour,
				Observe:  func(result string) { results <- result },
				URL: app(t, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/login" { // says 200 to everybody
						return
					}
					w.Header().Set("Location", "/login")
					w.Header()["Www-Authenticate"] = []string{`Bearer realm="crm"`, `Basic realm="crm"`, strings.Repeat("x", 10_000), "\xff"}
					w.WriteHeader(status)
				}),
			})
			_, err := f.Admit(request(cookie("session=anna")))
			switch e, ok := errors.AsType[*access.Unauthenticated](err); want {
			case "":
				if result := <-results; err != nil || result != access.ResultAllowed {
					t.Errorf("%v, %s", err, result)
				}
				return
			case unauthenticated:
				if result := <-results; !ok || e.Invalid || result != access.ResultUnauthenticated {
					t.Errorf("%#v, %s", err, result)
				}
			case forbidden:
				if result := <-results; !errors.Is(err, access.ErrForbidden) || result != access.ResultForbidden {
					t.Errorf("%#v, %s", err, result)
				}
			case unavailable:
				if result := <-results; !errors.Is(err, access.ErrUnavailable) || ok || errors.Is(err, access.ErrForbidden) || result != access.ResultError {
					t.Errorf("%#v, %s", err, result)
				}
			}
			var challenges []string
			if status == 401 || status == 403 {
				challenges = []string{`Bearer realm="crm"`, `Basic realm="crm"`}
			}
			if got := access.Challenges(err); !slices.Equal(got, challenges) {
				t.Errorf("challenges %q", got)
			}
			f.Admit(request(cookie("session=anna")))
			if result := <-results; result == access.ResultHit {
				t.Error("the refusal was kept")
			}
		})
	}
}

// rawApp answers each connection by hand, once the question has come.
func rawApp(t *testing.T, answer func(conn *net.TCPConn, question string)) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() { listener.Close(); running.Wait() })
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				var question strings.Builder
				lines := bufio.NewReader(conn)
				for line := ""; line != "\r\n"; {
					if line, err = lines.ReadString('\n'); err != nil {
						return
					}
					question.WriteString(line)
				}
				answer(conn.(*net.TCPConn), question.String())
			})
		}
	})
	return "http://" + listener.Addr().String() + "/"
}

// credential is the cookie of a question.
func credential(question string) string {
	_, rest, _ := strings.Cut(question, "session=")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

func TestForwardWithoutAnAnswer(t *testing.T) {
	untilClosed := func(conn net.Conn) { io.Copy(io.Discard, conn) }
	for name, answer := range map[string]func(*net.TCPConn, string){
		"hangs":               func(conn *net.TCPConn, _ string) { untilClosed(conn) },
		"hangs in the header": func(conn *net.TCPConn, _ string) { io.WriteString(conn, "HTTP/1.1 200 OK\r\nA: b"); untilClosed(conn) },
		"says to wait": func(conn *net.TCPConn, _ string) {
			io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\n\r\n")
			untilClosed(conn)
		},
		"switches protocols": func(conn *net.TCPConn, _ string) {
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			untilClosed(conn)
		},
		"resets":      func(conn *net.TCPConn, _ string) { conn.SetLinger(0) },
		"closes":      func(*net.TCPConn, string) {},
		"stops early": func(conn *net.TCPConn, _ string) { io.WriteString(conn, "HTTP/1.1 200 OK\r\nA: b\r\n") },
		"huge headers": func(conn *net.TCPConn, _ string) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nA: "+strings.Repeat("x", 1<<20))
		},
		"many headers": func(conn *net.TCPConn, _ string) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+strings.Repeat("A: b\r\n", 20_000)+"\r\n")
		},
		"endless early hints": func(conn *net.TCPConn, _ string) {
			io.WriteString(conn, strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 10_000)+"HTTP/1.1 200 OK\r\n\r\n")
		},
		"echoes":                   func(conn *net.TCPConn, question string) { io.WriteString(conn, question+question) },
		"echoes as what it speaks": func(conn *net.TCPConn, question string) { io.WriteString(conn, credential(question)+"\r\n\r\n") },
		"echoes as its status": func(conn *net.TCPConn, question string) {
			io.WriteString(conn, "HTTP/1.1 "+credential(question)+"\r\n\r\n")
		},
		"echoes as a header": func(conn *net.TCPConn, question string) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+credential(question)+"\r\n\r\n")
		},
		"echoes as a broken header": func(conn *net.TCPConn, question string) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n "+credential(question)+"\r\n\r\n")
		},
		"not HTTP": func(conn *net.TCPConn, _ string) { io.WriteString(conn, "SSH-2.0-OpenSSH_9.2\r\n") },
		"HTTP/2":   func(conn *net.TCPConn, _ string) { io.WriteString(conn, "\x00\x00\x00\x04\x00\x00\x00\x00\x00") },
	} {
		t.Run(name, func(t *testing.T) {
			f := newForward(t, access.ForwardConfig{URL: rawApp(t, answer), Timeout: soon})
			start := time.Now()
			_, err := f.Admit(request(cookie("session=" + secret)))
			if !errors.Is(err, access.ErrUnavailable) || strings.Contains(err.Error(), secret) || len(err.Error()) > 400 {
				t.Errorf("%v", err)
			}
			if took := time.Since(start); took > patient {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestForwardToNobody(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	tls := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	defer tls.Close()
	for name, config := range map[string]access.ForwardConfig{
		"nobody listens":     {URL: gone.URL},
		"no such host":       {URL: "http://crm.invalid/", Timeout: soon},
		"not trusted":        {URL: tls.URL},
		"no TLS where it is": {URL: strings.Replace(tls.URL, "https", "http", 1)},
		"TLS where none is":  {URL: strings.Replace(app(t, nil), "http", "https", 1)},
	} {
		if _, err := newForward(t, config).Admit(request(nil)); !errors.Is(err, access.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(tls.Certificate())
	if _, err := newForward(t, access.ForwardConfig{URL: tls.URL, RootCAs: trusted}).Admit(request(nil)); err != nil {
		t.Errorf("with the authority of the app: %v", err)
	}
}

func TestNewForwardRefuses(t *testing.T) {
	for name, config := range map[string]access.ForwardConfig{
		"no URL":           {},
		"another scheme":   {URL: "ftp://crm/"},
		"no host":          {URL: "http:///may-play"},
		"a password":       {URL: "http://u:" + secret + "@crm/"},
		"not a URL":        {URL: "http://crm/%zz" + secret},
		"a fragment":       {URL: "http://crm/#a"},
		"not a header":     {URL: "http://crm/", Headers: []string{"Coo kie"}},
		"no header":        {URL: "http://crm/", Headers: []string{""}},
		"a header of ours": {URL: "http://crm/", Headers: []string{"x-storagesrv-call-id"}},
		"a hop's header":   {URL: "http://crm/", Headers: []string{"Connection"}},
	} {
		if f, err := access.NewForward(config); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
}

// Each variant differs in one thing from a request that was let in.
func TestForwardKeepsAnswersApart(t *testing.T) {
	var asked atomic.Int64
	f := newForward(t, access.ForwardConfig{
		CacheTTL: time.Hour, UserHeader: "X-User",
		URL: app(t, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if r.Header.Get("Cookie") == "" && r.Header.Get("Authorization") == "" {
				w.WriteHeader(401)
			}
			w.Header().Set("X-User", r.Header.Get("Cookie"))
		}),
	})
	base := func() access.Request {
		r := request(cookie("a=1"))
		r.FileID = "01"
		return r
	}
	if _, err := f.Admit(base()); err != nil {
		t.Fatal(err)
	}
	questions := int64(1)
	for name, c := range map[string]struct {
		change func(*access.Request)
		same   bool
	}{
		"nothing":                   {func(r *access.Request) {}, true},
		"a header that is not sent": {func(r *access.Request) { r.HTTP.Header.Set("Range", "bytes=5-") }, true},
		"cookie":                    {func(r *access.Request) { r.HTTP.Header.Set("Cookie", "a=2") }, false},
		"no cookie":                 {func(r *access.Request) { r.HTTP.Header.Del("Cookie") }, false},
		"two cookies":               {func(r *access.Request) { r.HTTP.Header.Add("Cookie", "a=1") }, false},
		"the cookie elsewhere":      {func(r *access.Request) { r.HTTP.Header = http.Header{"Authorization": {"a=1"}} }, false},
		"authorization":             {func(r *access.Request) { r.HTTP.Header.Set("Authorization", "Bearer x") }, false},
		"client":                    {func(r *access.Request) { r.Client = "192.0.2.2" }, false},
		"call":                      {func(r *access.Request) { r.CallID = "2" }, false},
		"file":                      {func(r *access.Request) { r.FileID = "02" }, false},
		"no file":                   {func(r *access.Request) { r.FileID = "" }, false},
		"the file in the call's id": {func(r *access.Request) { r.CallID, r.FileID = "1X-Storagesrv-File-Id01", "" }, false},
		"path":                      {func(r *access.Request) { r.HTTP.URL.Path = "/recordings/1/info" }, false},
		"query":                     {func(r *access.Request) { r.HTTP.URL.RawQuery = "download=1" }, false},
		"method":                    {func(r *access.Request) { r.HTTP.Method = http.MethodHead }, false},
		"host":                      {func(r *access.Request) { r.Host = "other.example.lan" }, false},
		"proto":                     {func(r *access.Request) { r.Proto = "https" }, false},
	} {
		r := base()
		c.change(&r)
		caller, err := f.Admit(r)
		if !c.same {
			questions++
		}
		if got := asked.Load(); got != questions {
			t.Errorf("%s: the app was asked %d times, not %d", name, got, questions)
			questions = got
		}
		if e, refused := errors.AsType[*access.Unauthenticated](err); refused != (name == "no cookie") || !refused && err != nil || e == nil && caller.Name != r.HTTP.Header.Get("Cookie") {
			t.Errorf("%s: %+v, %v", name, caller, err)
		}
	}
}

func TestForwardHeedsCacheControl(t *testing.T) {
	for header, kept := range map[string]bool{
		"":                             true,
		"private":                      true,
		"private, max-age=60":          true,
		"max-age=99999999999999999999": true,
		"s-maxage=0":                   true,
		"no-store":                     false,
		"private, NO-STORE":            false,
		"max-age=60 , no-store ":       false,
		"no-cache, private":            false,
		`no-cache="Set-Cookie"`:        false,
		"max-age=0, must-revalidate":   false,
		"max-age=soon":                 false,
		"max-age=-1":                   false,
		"max-age":                      false,
		"max-age=60|no-store":          false,
	} {
		asked := 0
		f := newForward(t, access.ForwardConfig{
			CacheTTL: time.Hour,
			URL: app(t, func(w http.ResponseWriter, r *http.Request) {
				asked++
				w.Header()["Cache-Control"] = strings.Split(header, "|")
			}),
		})
		for range 2 {
			if _, err := f.Admit(request(nil)); err != nil {
				t.Fatal(err)
			}
		}
		if (asked == 1) != kept {
			t.Errorf("%q: asked %d times", header, asked)
		}
	}
}

func TestForwardWithoutACacheAsksEachTime(t *testing.T) {
	asked := 0
	f := newForward(t, access.ForwardConfig{URL: app(t, func(http.ResponseWriter, *http.Request) { asked++ })})
	for range 3 {
		if _, err := f.Admit(request(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 3 {
		t.Errorf("asked %d times", asked)
	}
}

func TestForwardKeepsAnAnswerForItsTime(t *testing.T) {
	for header, want := range map[string]time.Duration{"": 10 * time.Second, "max-age=3": 3 * time.Second, "max-age=100": 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			w := newWire(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				w.Header().Set("Cache-Control", header)
				time.Sleep(time.Second) // which counts
			}))
			f := newForward(t, access.ForwardConfig{URL: "http://crm.example.lan/", CacheTTL: 10 * time.Second, Dial: w.dial})
			start := time.Now()
			for asked < 2 {
				if _, err := f.Admit(request(nil)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second / 2)
			}
			if took := time.Since(start) - 3*time.Second/2; took < want-time.Second || took > want {
				t.Errorf("%q: asked again after %v", header, took)
			}
		})
	}
}

func TestForwardAsksOnceForAllWhoAskTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		w := newWire(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			time.Sleep(time.Second)
			w.Header().Set("X-User", r.Header.Get("Cookie"))
		}))
		f := newForward(t, access.ForwardConfig{URL: "http://crm.example.lan/", UserHeader: "X-User", Dial: w.dial})
		first, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			r := request(cookie("anna"))
			r.HTTP = r.HTTP.WithContext(first)
			if _, err := f.Admit(r); !errors.Is(err, context.Canceled) {
				t.Errorf("who leaves: %v", err)
			}
		})
		synctest.Wait()
		for i := range 100 {
			name := []string{"anna", "otto"}[i%2]
			all.Go(func() {
				if caller, err := f.Admit(request(cookie(name))); err != nil || caller.Name != name {
					t.Errorf("%s: %+v, %v", name, caller, err)
				}
			})
		}
		synctest.Wait()
		leave()
		all.Wait()
		if asked.Load() != 2 {
			t.Errorf("asked %d times", asked.Load())
		}
	})
}

func TestForwardAsksSoManyQuestionsAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most, done atomic.Int64
		w := newWire(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			time.Sleep(time.Second)
		}))
		f := newForward(t, access.ForwardConfig{URL: "http://crm.example.lan/", MaxConcurrent: 2, Timeout: 3500 * time.Millisecond, Dial: w.dial})
		var all sync.WaitGroup
		var busy atomic.Int64
		for i := range 10 {
			all.Go(func() {
				_, err := f.Admit(request(cookie(fmt.Sprint("n=", i))))
				if errors.Is(err, access.ErrUnavailable) {
					busy.Add(1)
				} else if err == nil {
					done.Add(1)
				}
			})
		}
		all.Wait()
		// Two a second, for three seconds; two more were given up under way.
		if most.Load() != 2 || done.Load() != 6 || busy.Load() != 4 {
			t.Errorf("%d at a time, %d answered, %d not", most.Load(), done.Load(), busy.Load())
		}
	})
}

func TestForwardBoundsTheQuestionsThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { time.Sleep(10 * time.Second) }))
		f := newForward(t, access.ForwardConfig{URL: "http://crm.example.lan/", MaxConcurrent: 1, Timeout: time.Minute, Dial: w.dial})
		const most = 1024
		ctx, leave := context.WithCancel(t.Context())
		ask := func(i int) error {
			r := request(cookie(fmt.Sprint("n=", i)))
			r.HTTP = r.HTTP.WithContext(ctx)
			_, err := f.Admit(r)
			return err
		}
		var all sync.WaitGroup
		for i := range most {
			all.Go(func() {
				if err := ask(i); !errors.Is(err, context.Canceled) {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		synctest.Wait()
		if err := ask(most); !errors.Is(err, access.ErrUnavailable) {
			t.Errorf("one more: %v", err)
		}
		all.Go(func() { // asks nothing more
			if err := ask(0); !errors.Is(err, context.Canceled) {
				t.Errorf("the same: %v", err)
			}
		})
		synctest.Wait()
		leave()
		all.Wait()
	})
}

func TestAnErrorIsCutBetweenCharacters(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		strings.Repeat("ü", 100):       strings.Repeat("ü", 100),
		strings.Repeat("ü", 101):       strings.Repeat("ü", 100),
		"x" + strings.Repeat("ü", 100): "x" + strings.Repeat("ü", 99),
		strings.Repeat("日", 100):       strings.Repeat("日", 66),
	} {
		if got := access.Bounded(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestForwardDoesNotWaitForABody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}))
		f := newForward(t, access.ForwardConfig{URL: "http://crm.example.lan/", Dial: w.dial})
		start := time.Now()
		if _, err := f.Admit(request(nil)); err != nil || time.Since(start) > 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestForwardKeepsItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, strings.Repeat("x", 60_000))
		}))
		f := newForward(t, access.ForwardConfig{URL: "http://crm.example.lan/", Dial: w.dial})
		for range 5 {
			if _, err := f.Admit(request(nil)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // the body is read after that
		}
		if got := w.addresses(); !slices.Equal(got, []string{"crm.example.lan:80"}) {
			t.Errorf("dialed %v", got)
		}
	})
}

func TestForwardNamesTheCaller(t *testing.T) {
	for sent, want := range map[string]string{
		"":                             "",
		"anna":                         "anna",
		" Anna Müller ":                "Anna Müller",
		"caf\xe9":                      "caf\ufffd",
		"a\tb":                         "a\ufffdb",
		"a\u202eb\u0085":               "a\ufffdb\ufffd",
		strings.Repeat("ü", 300):       strings.Repeat("ü", 126) + "…",
		"x" + strings.Repeat("ü", 300): "x" + strings.Repeat("ü", 126) + "…",
	} {
		f := newForward(t, access.ForwardConfig{UserHeader: "x-user", URL: app(t, func(w http.ResponseWriter, r *http.Request) { w.Header()["X-User"] = []string{sent, "other"} })})
		if caller, err := f.Admit(request(nil)); err != nil || caller.Name != want || caller.Via != access.ByForward {
			t.Errorf("%q: %q, %v", sent, caller.Name, err)
		}
	}
}

func TestCloseEndsAQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		f := newForward(t, access.ForwardConfig{URL: "http://crm.example.lan/", Timeout: time.Hour, Dial: w.dial})
		refused := make(chan error, 1)
		go func() {
			_, err := f.Admit(request(nil))
			refused <- err
		}()
		synctest.Wait()
		start := time.Now()
		f.Close()
		if err := <-refused; !errors.Is(err, access.ErrUnavailable) || time.Since(start) > 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if _, err := f.Admit(request(nil)); !errors.Is(err, access.ErrUnavailable) {
			t.Errorf("closed: %v", err)
		}
	})
}

func FuzzForwardAnswer(f *testing.F) {
	f.Add("private, max-age=5", `Bearer realm="crm"`, "anna")
	f.Add(`no-cache="a, no-store", max-age="1`, "\x00", "a\xffb")
	f.Fuzz(func(t *testing.T, cacheControl, challenge, name string) {
		header := http.Header{"Cache-Control": {cacheControl}, "Www-Authenticate": {challenge, challenge}, "X-User": {name}}
		if ttl := access.Freshness(header, time.Minute); ttl < 0 || ttl > time.Minute {
			t.Errorf("%q is kept for %v", cacheControl, ttl)
		}
		for _, value := range access.AppChallenges(header) {
			if len(value) > 512 || strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' }) {
				t.Errorf("challenge %q", value)
			}
		}
		got := access.Printable(name)
		if len(got) > 256 || !utf8.ValidString(got) || strings.ContainsFunc(got, func(c rune) bool { return !unicode.IsPrint(c) }) {
			t.Errorf("name %q", got)
		}
	})
}
