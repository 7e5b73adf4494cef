package server_test

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"storagesrv/cmd/storagesrv/internal/server"
	"storagesrv/storage"
	"storagesrv/storage/sftp"
	"storagesrv/storage/sftp/sftptest"
)

// An sshServer is a server with SFTP, in this process or a real one.
type sshServer interface {
	Addr() string
	User() string
	ClientKey() []byte
	KnownHosts() []byte
}

// A startSSH starts a server over a directory, and returns what the directory is
// called there.
type startSSH func(t testing.TB, dir string) (server sshServer, root string)

func inThisProcess(t testing.TB, dir string) (sshServer, string) {
	t.Helper()
	s, err := sftptest.Start(sftptest.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, "/"
}

// A stack is what the program assembles over an SFTP server: read-ahead over a
// cache over SFTP. A proxy stands before the server.
type stack struct {
	t          testing.TB
	server     sshServer
	proxy      *sftptest.Proxy
	knownHosts string // the file
	sftp       *sftp.Store
	cache      *storage.Cache
	entry      storage.Entry
	resumes    atomic.Int64
	dials      atomic.Int64
}

// A stackConfig is what tests change; the zero value is a stack in order.
type stackConfig struct {
	label string
	sftp  sftp.Config // of which the stack sets the server's address, key and account
	cache storage.CacheConfig
	ahead int64 // bytes; 0 means as many as in the program
}

// newStack makes a stack over a server that has recordings below root.
func newStack(t testing.TB, server sshServer, config stackConfig) *stack {
	t.Helper()
	s := &stack{t: t, server: server, knownHosts: filepath.Join(t.TempDir(), "known_hosts")}
	var err error
	if s.proxy, err = sftptest.StartProxy(server.Addr()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.proxy.Close() })
	s.trust()
	c := config.sftp
	c.Address, c.User, c.PrivateKey, c.KnownHosts = s.proxy.Addr(), server.User(), server.ClientKey(), s.knownHosts
	c.OnResume = func() { s.resumes.Add(1) }
	c.OnDial = func(string) { s.dials.Add(1) }
	s.sftp = newSFTP(t, c)
	s.cache = storage.NewCache(config.cache)
	t.Cleanup(s.cache.Close)
	if config.label == "" {
		config.label = prefix + " sftp"
	}
	if config.ahead == 0 {
		config.ahead = 64 << 20
	}
	s.entry = storage.Entry{Prefix: prefix, Label: config.label, Health: s.sftp.Health,
		Store: storage.ReadAhead(s.cache.Over(config.label, s.sftp), storage.NewBudget(config.ahead))}
	return s
}

// trust makes the server's host key the one that is known, as it is now.
func (s *stack) trust() {
	s.t.Helper()
	_, from, _ := net.SplitHostPort(s.server.Addr())
	_, to, _ := net.SplitHostPort(s.proxy.Addr())
	line := bytes.ReplaceAll(s.server.KnownHosts(), []byte("]:"+from), []byte("]:"+to))
	if err := os.WriteFile(s.knownHosts, line, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// reroute makes the rig serve by another routing table.
func (r *rig) reroute(entries ...storage.Entry) {
	r.t.Helper()
	router, err := storage.NewRouter(entries...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.config.Recordings, r.config.Metrics = router, prometheus.NewRegistry()
	r.server = server.New(r.config)
	admin := httptest.NewServer(r.server.Admin())
	r.t.Cleanup(admin.Close)
	r.url, r.admin = serve(r.t, r.server), admin.URL
}

// mountedAt is an entry over a directory of this machine.
func mountedAt(t testing.TB, prefix, label, dir string) storage.Entry {
	store, _ := mounted(t, dir)
	return storage.Entry{Prefix: prefix, Label: label, Store: store, Health: func() storage.Health { return storage.Health{Up: true} }}
}

// noisy is a recording of about n bytes that begins with a hum and goes on with
// noise, of which each seed has its own.
func noisy(n int, seed byte) []byte {
	content := wav(n / 2)
	rand.NewChaCha8([32]byte{seed}).Read(content[64<<10:])
	return content
}
