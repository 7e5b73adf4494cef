//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// cipher is what all peers are to use, in TLS 1.3: servers in Go choose it by
// themselves where the processor has AES, nginx is told.
const cipher = tls.TLS_AES_128_GCM_SHA256

// A certificate is that of all peers.
type certificate struct {
	file, keyFile string
	client        *tls.Config // of a client that trusts no other
}

// newCertificate writes one for 127.0.0.1, and its key, to dir.
func newCertificate(dir string) (*certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	c := &certificate{file: filepath.Join(dir, "tls.crt"), keyFile: filepath.Join(dir, "tls.key")}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(chain)
	c.client = &tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}, VerifyConnection: checkCipher}
	return c, errors.Join(
		os.WriteFile(c.file, chain, 0o644),
		os.WriteFile(c.keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600),
	)
}

// checkCipher refuses a peer that encrypts otherwise than the others.
func checkCipher(s tls.ConnectionState) error {
	if s.Version != tls.VersionTLS13 || s.CipherSuite != cipher {
		return fmt.Errorf("%s with %s, want TLS 1.3 with %s", tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite), tls.CipherSuiteName(cipher))
	}
	return nil
}
