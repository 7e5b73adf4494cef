package sftp_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"storagesrv/storage/sftp"
	"storagesrv/storage/sftp/sftptest"
)

func hostKey(t testing.TB, keyType string) ssh.Signer {
	t.Helper()
	key, err := sftptest.NewHostKey(keyType)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// knows makes a store trust what lines say.
func knows(t testing.TB, lines ...string) func(*sftp.Config) {
	return func(c *sftp.Config) { c.KnownHosts = file(t, []byte(strings.Join(lines, "\n")+"\n")) }
}

func TestKnownHostsIsTrusted(t *testing.T) {
	keys := []ssh.Signer{hostKey(t, "rsa"), hostKey(t, "ecdsa"), hostKey(t, "ed25519")}
	server := start(t, sftptest.Config{HostKeys: keys})
	other := hostKey(t, "ed25519").PublicKey()
	for name, lines := range map[string][]string{
		"rsa":           {knownhosts.Line([]string{server.Addr()}, keys[0].PublicKey())},
		"ecdsa":         {knownhosts.Line([]string{server.Addr()}, keys[1].PublicKey())},
		"ed25519":       {knownhosts.Line([]string{server.Addr()}, keys[2].PublicKey())},
		"hashed":        {knownhosts.Line([]string{knownhosts.HashHostname(knownhosts.Normalize(server.Addr()))}, keys[2].PublicKey())},
		"wildcard":      {knownhosts.Line([]string{"127.0.0.*"}, keys[2].PublicKey())},
		"after another": {"# comment", "", knownhosts.Line([]string{"other.example.lan"}, other), knownhosts.Line([]string{server.Addr()}, keys[1].PublicKey())},
		"beside an old": {knownhosts.Line([]string{server.Addr()}, other), knownhosts.Line([]string{server.Addr()}, keys[2].PublicKey())},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tries(connect(t, server, knows(t, lines...))); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestACertificateAuthorityIsTrusted(t *testing.T) {
	authority, key := hostKey(t, "ed25519"), hostKey(t, "ecdsa")
	certificate := &ssh.Certificate{
		Key: key.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{"127.0.0.1"}, ValidBefore: ssh.CertTimeInfinity,
	}
	if err := certificate.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewCertSigner(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	server := start(t, sftptest.Config{HostKeys: []ssh.Signer{signer}})
	trust := "@cert-authority " + knownhosts.Line([]string{server.Addr()}, authority.PublicKey())
	if err := tries(connect(t, server, knows(t, trust))); err != nil {
		t.Error(err)
	}
	revoked := "@revoked " + knownhosts.Line([]string{"*"}, authority.PublicKey())
	wants(t, tries(connect(t, server, knows(t, trust, revoked))), refused)
	wants(t, tries(connect(t, server, knows(t, "@cert-authority "+knownhosts.Line([]string{"other"}, authority.PublicKey())))), refused)
}

// refusalMemory is how long a refusal is remembered at least.
const refusalMemory = 5 * time.Second

func TestAnotherHostIsRefusedAndNotDialedAgain(t *testing.T) {
	key := hostKey(t, "ed25519")
	server := start(t, sftptest.Config{HostKeys: []ssh.Signer{key}})
	other := ssh.FingerprintSHA256(hostKey(t, "ed25519").PublicKey())
	line := knownhosts.Line([]string{server.Addr()}, key.PublicKey())
	for name, test := range map[string]struct {
		change func(*sftp.Config)
		reason string // part of it
	}{
		"unknown":      {knows(t, ""), "not in known_hosts"},
		"unknown port": {knows(t, knownhosts.Line([]string{"127.0.0.1"}, key.PublicKey())), "not in known_hosts"},
		"changed":      {knows(t, knownhosts.Line([]string{server.Addr()}, hostKey(t, "ed25519").PublicKey())), ", offered ssh-ed25519 " + server.Fingerprint()},
		"other type":   {knows(t, knownhosts.Line([]string{server.Addr()}, hostKey(t, "ecdsa").PublicKey())), "ecdsa"},
		"revoked":      {knows(t, line, "@revoked "+line), "revoked"},
		"pinned": {func(c *sftp.Config) { c.KnownHosts, c.HostKey = "", other },
			"expected " + other + ", offered ssh-ed25519 " + server.Fingerprint()},
	} {
		t.Run(name, func(t *testing.T) {
			var results []string
			store := connect(t, server, test.change, func(c *sftp.Config) {
				c.OnDial = func(result string) { results = append(results, result) }
			})
			began := time.Now()
			for range 20 {
				wants(t, tries(store), refused)
			}
			store.Close()
			if took := time.Since(began); len(results) == 0 || len(results) > 1+int(took/refusalMemory) || results[0] != "hostkey" {
				t.Errorf("dials in %v: %v", took, results)
			}
			if reason := store.Health().Reason; !strings.Contains(reason, test.reason) {
				t.Errorf("reason %q lacks %q", reason, test.reason)
			}
		})
	}
}

func TestAPinnedKeyMayBeOfAnyType(t *testing.T) {
	keys := []ssh.Signer{hostKey(t, "ed25519"), hostKey(t, "ecdsa"), hostKey(t, "rsa")}
	server := start(t, sftptest.Config{HostKeys: keys})
	for _, key := range keys {
		pin := func(c *sftp.Config) { c.KnownHosts, c.HostKey = "", ssh.FingerprintSHA256(key.PublicKey()) }
		if err := tries(connect(t, server, pin)); err != nil {
			t.Errorf("%s: %v", key.PublicKey().Type(), err)
		}
	}
}

func TestAChangedHostKeyIsRefusedUntilKnown(t *testing.T) {
	t.Parallel()
	server := start(t, sftptest.Config{})
	var path string
	store := connect(t, server, func(c *sftp.Config) { path = c.KnownHosts })
	if err := tries(store); err != nil {
		t.Fatal(err)
	}
	server.SetHostKeys(hostKey(t, "ed25519"))
	server.KillConnections()
	eventually(t, "the loss is noticed", func() bool { return store.Connections() == 0 })
	began := time.Now()
	wants(t, tries(store), refused)
	if err := os.WriteFile(path, server.KnownHosts(), 0o600); err != nil {
		t.Fatal(err)
	}
	recovers(t, store)
	if took := time.Since(began); took < refusalMemory {
		t.Errorf("dialed again after %v", took)
	}
}

func TestRefusedCredentialsAreNotTriedAgain(t *testing.T) {
	server := start(t, sftptest.Config{Password: "right"})
	for name, change := range map[string]func(*sftp.Config){
		"other user":     func(c *sftp.Config) { c.User = "other" },
		"other key":      func(c *sftp.Config) { c.PrivateKey = clientKey(t) },
		"other password": func(c *sftp.Config) { c.PrivateKey, c.Password = nil, "wrong" },
	} {
		t.Run(name, func(t *testing.T) {
			before, began := server.Dials(), time.Now()
			store := connect(t, server, change)
			for range 20 {
				wants(t, tries(store), refused)
			}
			if n, took := server.Dials()-before, time.Since(began); n < 1 || n > 1+int(took/refusalMemory) {
				t.Errorf("%d dials in %v", n, took)
			}
			if reason := store.Health().Reason; !strings.HasPrefix(reason, "denied: ") || strings.Contains(reason, "wrong") {
				t.Errorf("reason %q", reason)
			}
		})
	}
	server.Set(sftptest.Faults{RefuseSFTP: true})
	wants(t, tries(connect(t, server)), refused)
}

func TestPasswordsAreAccepted(t *testing.T) {
	for name, prompts := range map[string][]string{"password": nil, "interactive": {"Password: "}} {
		t.Run(name, func(t *testing.T) {
			server := start(t, sftptest.Config{Password: "right", Prompts: prompts})
			store := connect(t, server, func(c *sftp.Config) { c.PrivateKey, c.Password = nil, "right" })
			if err := tries(store); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOnlyASingleHiddenPromptIsAnswered(t *testing.T) {
	for name, prompts := range map[string][]string{"two": {"Password: ", "Code: "}, "echoed": {"!User: "}} {
		t.Run(name, func(t *testing.T) {
			server := start(t, sftptest.Config{Password: "right", Prompts: prompts})
			store := connect(t, server, func(c *sftp.Config) { c.PrivateKey, c.Password = nil, "right" })
			wants(t, tries(store), refused)
		})
	}
}

// clientKey returns a new private key.
func clientKey(t testing.TB) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

func TestAnEncryptedKeyNeedsItsPassphrase(t *testing.T) {
	t.Parallel()
	server := start(t, sftptest.Config{})
	plain, err := ssh.ParseRawPrivateKey(server.ClientKey())
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(plain, "", []byte("hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	key := pem.EncodeToMemory(block)
	with := func(passphrase string) func(*sftp.Config) {
		return func(c *sftp.Config) { c.PrivateKey, c.Passphrase = key, []byte(passphrase) }
	}
	if err := tries(connect(t, server, with("hunter2"))); err != nil {
		t.Error(err)
	}
	for _, passphrase := range []string{"", "hunter3"} {
		config := sftp.Config{Address: server.Addr(), User: server.User(), HostKey: server.Fingerprint()}
		with(passphrase)(&config)
		if _, err := sftp.New(config); err == nil || !strings.HasPrefix(err.Error(), "key_file: ") || !strings.Contains(err.Error(), "passphrase") || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%q: %v", passphrase, err)
		}
	}
}

func TestOldAlgorithmsAreForOldServersOnly(t *testing.T) {
	for name, old := range map[string]ssh.Config{
		"key exchange": {KeyExchanges: []string{ssh.InsecureKeyExchangeDH14SHA1}},
		"cipher":       {Ciphers: []string{ssh.InsecureCipherAES128CBC}},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, sftptest.Config{Algorithms: old})
			wants(t, tries(connect(t, server)), unavailable)
			if err := tries(connect(t, server, func(c *sftp.Config) { c.LegacyAlgorithms = true })); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNewRefusesWhatCannotWorkAndNamesTheKey(t *testing.T) {
	good := sftp.Config{
		Address: "recorder.example.lan", User: "playback", PrivateKey: clientKey(t),
		HostKey: ssh.FingerprintSHA256(hostKey(t, "ed25519").PublicKey()),
	}
	if _, err := sftp.New(good); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		key    string // that the error begins with
		change func(*sftp.Config)
	}{
		"no address":         {"address", func(c *sftp.Config) { c.Address = "" }},
		"bad port":           {"address", func(c *sftp.Config) { c.Address = "recorder:ssh" }},
		"user in address":    {"address", func(c *sftp.Config) { c.Address = "playback:hunter2@recorder:22" }},
		"no user":            {"user", func(c *sftp.Config) { c.User = "" }},
		"no credential":      {"key_file", func(c *sftp.Config) { c.PrivateKey = nil }},
		"no key":             {"key_file", func(c *sftp.Config) { c.PrivateKey = []byte("hunter2") }},
		"no trust":           {"known_hosts", func(c *sftp.Config) { c.HostKey = "" }},
		"trust twice":        {"host_key", func(c *sftp.Config) { c.KnownHosts = file(t, nil) }},
		"MD5 fingerprint":    {"host_key", func(c *sftp.Config) { c.HostKey = "MD5:hunter2" }},
		"short fingerprint":  {"host_key", func(c *sftp.Config) { c.HostKey = c.HostKey[:40] }},
		"no known_hosts":     {"known_hosts", func(c *sftp.Config) { c.HostKey, c.KnownHosts = "", "/nowhere" }},
		"broken known_hosts": {"known_hosts", func(c *sftp.Config) { c.HostKey, c.KnownHosts = "", file(t, []byte("recorder ssh-ed25519 hunter2\n")) }},
		"huge known_hosts":   {"known_hosts", func(c *sftp.Config) { c.HostKey, c.KnownHosts = "", file(t, make([]byte, 9<<20)) }},
		"directory":          {"known_hosts", func(c *sftp.Config) { c.HostKey, c.KnownHosts = "", t.TempDir() }},
		"NUL in root":        {"root", func(c *sftp.Config) { c.Root = "/a\x00b" }},
		"negative timeout":   {"timeout", func(c *sftp.Config) { c.Timeout = -1 }},
		"negative keepalive": {"keepalive", func(c *sftp.Config) { c.Keepalive = -1 }},
	} {
		t.Run(name, func(t *testing.T) {
			bad := good
			test.change(&bad)
			switch store, err := sftp.New(bad); {
			case err == nil:
				store.Close()
				t.Error("accepted")
			case !strings.HasPrefix(err.Error(), test.key+": "):
				t.Errorf("the error does not begin with %q: %v", test.key, err)
			case strings.Contains(err.Error(), "hunter"):
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}
