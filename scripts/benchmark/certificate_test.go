//go:build linux

package main

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A server that encrypts otherwise would be compared with others that it cannot
// be compared with.
func TestClientsTakeOneCipherOnly(t *testing.T) {
	c, err := newCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(c.file, c.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	for version, want := range map[uint16]string{tls.VersionTLS13: "", tls.VersionTLS12: "want TLS 1.3 with TLS_AES_128_GCM_SHA256"} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
		s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MaxVersion: version}
		s.EnableHTTP2 = true
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		client := newClient(clientOptions{tls: c.client})
		response, err := client.Get(s.URL)
		if err == nil {
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if want != "" || string(body) != "HTTP/1.1" {
				t.Errorf("%s: got %s, want error %q", tls.VersionName(version), body, want)
			}
		} else if want == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", tls.VersionName(version), err, want)
		}
		client.CloseIdleConnections()
		s.Close()
	}
}
