package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// startServe runs the serve command, with a mounted recording call-1 and what
// is to stand under http, until the returned function is called, which returns
// the log.
func startServe(t *testing.T, http string) (address string, roots *x509.CertPool, stop func() string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "recordings"), 0o755); err != nil {
		t.Fatal(err)
	}
	write("recordings/a.wav", string(sawtooth(2000)))
	write("calls.json", `[{"call_id": "call-1", "files": [{"stop_time": "2013-10-12T16:38:56Z", "file_path": "/r/a.wav"}]}]`)
	write("storagesrv.yaml", fmt.Sprintf(`{http: {listen: "127.0.0.1:0", admin: "", %s}, metadata: {catalog: calls.json},
		storage: [{prefix: /r, mount: {root: %s/recordings}}]}`, strings.ReplaceAll(http, "$DIR", dir), dir))
	roots = writeCertificate(t, dir)

	ctx, cancel := context.WithCancel(t.Context())
	log := newAwaitedLog()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "--config", filepath.Join(dir, "storagesrv.yaml")}, io.Discard, log)
	}()
	t.Cleanup(cancel)
	select {
	case address = <-log.address:
	case err := <-ended:
		t.Fatalf("%v\n%s", err, log)
	}
	return address, roots, func() string {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		return log.String()
	}
}

// An awaitedLog is a log that tells the address that a server logs.
type awaitedLog struct {
	address chan string

	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func newAwaitedLog() *awaitedLog { return &awaitedLog{address: make(chan string, 1)} }

func (l *awaitedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, rest, found := strings.Cut(string(p), `"msg":"serving","address":"`); found {
		address, _, _ := strings.Cut(rest, `"`)
		l.address <- address
	}
	voice{leaks, "serve"}.Write(p)
	return l.text.Write(p)
}

func (l *awaitedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// writeCertificate makes a certificate for 127.0.0.1, and returns who trusts it.
func writeCertificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: certificate}, "tls.key": {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(certificate)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return roots
}

func TestServeSpeaksHTTP2OverTLS(t *testing.T) {
	address, roots, stop := startServe(t, "tls: {cert_file: $DIR/tls.crt, key_file: tls.key}")
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	client := http.Client{Transport: transport}
	response, err := client.Get("https://" + address + "/recordings/call-1")
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, response.Body)
	response.Body.Close()
	if response.Proto != "HTTP/2.0" || response.StatusCode != 200 || n != response.ContentLength || err != nil {
		t.Errorf("%s %d, %d bytes, %v", response.Proto, response.StatusCode, n, err)
	}
	transport.CloseIdleConnections()
	if log := stop(); !strings.Contains(log, `"msg":"ended","cut":0`) {
		t.Errorf("log %s", log)
	}
}

func TestServeCutsWhatDoesNotEndInTime(t *testing.T) {
	address, _, stop := startServe(t, "drain_timeout: 200ms")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(128 << 10); err != nil { // so that the rest does not fit into buffers
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET /recordings/call-1 HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := io.ReadFull(conn, make([]byte, 5000)); err != nil { // and take no more
		t.Fatal(err)
	}
	start := time.Now()
	log := stop()
	if took := time.Since(start); took > 20*time.Second { // by default it would be a minute
		t.Errorf("took %v", took)
	}
	if !strings.Contains(log, `"msg":"ended","cut":1`) {
		t.Errorf("log %s", log)
	}
}

// A gatedConn stops reading when its gate is set, until that is closed.
type gatedConn struct {
	net.Conn
	gate atomic.Pointer[chan struct{}]
}

func (c *gatedConn) Read(p []byte) (int, error) {
	if gate := c.gate.Load(); gate != nil {
		<-*gate
	}
	return c.Conn.Read(p)
}

func TestServeCutsAnHTTP2ClientThatTakesNothing(t *testing.T) {
	address, roots, stop := startServe(t, "stall_timeout: 2s, tls: {cert_file: $DIR/tls.crt, key_file: tls.key}")
	gate := make(chan struct{})
	var conn *gatedConn
	transport := &http.Transport{ForceAttemptHTTP2: true, DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		tcp, err := net.Dial(network, address)
		if err != nil {
			return nil, err
		}
		conn = &gatedConn{Conn: tcp}
		client := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", NextProtos: []string{"h2"}})
		return client, client.HandshakeContext(ctx)
	}}
	defer transport.CloseIdleConnections()
	defer close(gate)
	var bodies []io.Closer
	for range 5 { // more than the buffers on the way hold, of 16 MB each
		response, err := (&http.Client{Transport: transport}).Get("https://" + address + "/recordings/call-1")
		if err != nil {
			t.Fatal(err)
		}
		if response.ProtoMajor != 2 {
			t.Fatal(response.Proto)
		}
		bodies = append(bodies, response.Body)
	}
	conn.gate.Store(&gate)
	start := time.Now()
	for _, body := range bodies {
		defer body.Close()
	}
	log := stop() // waits for running streams, for a minute
	if took := time.Since(start); took > 40*time.Second || !strings.Contains(log, `"msg":"ended","cut":0`) {
		t.Errorf("after %v: %s", took, log)
	}
}
