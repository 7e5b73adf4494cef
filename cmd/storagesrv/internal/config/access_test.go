package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// withAccess is a configuration that listens beyond this machine, with the
// SHA-256 of "a" and "b".
const withAccess = `
http:
  listen: ":8080"
  public_url: "https://Play.example.lan:443/"
  max_streams: 100
  max_streams_per_client: 0
access:
  tokens:
    - {name: crm, sha256: ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb}
    - {name: shop@example.lan, sha256: 3E23E8160039594A33894F6564E1B1348BBD7A0088D42C4ACB73EEAED59C009D}
  signing_keys:
    - {id: "2026-11", secret_file: /run/secrets/new}
    - {id: "2026-10", secret_file: old}
  max_expires: 12h
` + minimal

func TestParseReadsAccess(t *testing.T) {
	c, err := Parse("x.yaml", []byte(withAccess))
	if err != nil {
		t.Fatal(err)
	}
	a := c.Access
	if !a.Decides() || a.Anonymous || len(a.Tokens) != 2 || a.Tokens[0].Name != "crm" || a.Tokens[0].Hash != sha256.Sum256([]byte("a")) ||
		a.Tokens[1].Hash != sha256.Sum256([]byte("b")) || len(a.SigningKeys) != 2 || a.SigningKeys[1] != (SigningKey{"2026-10", "old"}) ||
		a.MaxExpires != Duration(12*time.Hour) {
		t.Errorf("access %+v", a)
	}
	if h := c.HTTP; h.Public.String() != "https://play.example.lan" || h.MaxStreams != 100 || h.MaxStreamsPerClient != 0 {
		t.Errorf("http %+v", h)
	}
	c.resolve("/etc/storagesrv")
	if got := []string{a.SigningKeys[0].SecretFile, a.SigningKeys[1].SecretFile}; got[0] != "/run/secrets/new" || got[1] != "/etc/storagesrv/old" {
		t.Errorf("files %v", got)
	}
}

// Each case changes one thing in the configuration.
func TestParseNamesThePlaceOfAFaultInAccess(t *testing.T) {
	hash := func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }
	for _, c := range []struct{ name, old, new, want string }{
		{"colon", "name: crm", "name: 'c:rm'", "x.yaml:9:14: access.tokens[0].name: must be 1 to 64 printable"},
		{"space", "name: crm", "name: 'c rm'", "access.tokens[0].name: must be 1 to 64 printable"},
		{"no name", "name: crm, ", "", "access.tokens[0].name: must be 1 to 64 printable"},
		{"name twice", "name: shop@example.lan", "name: crm", "x.yaml:10:14: access.tokens[1].name: the same name twice"},
		{"short hash", hash("a"), hash("a")[2:], "x.yaml:9:27: access.tokens[0].sha256: must be the SHA-256 of a token, 64 hexadecimal digits, as printf %s "},
		{"a token", hash("a"), "hunter2", "x.yaml:9:27: access.tokens[0].sha256: must be the SHA-256"},
		{"hash twice", strings.ToUpper(hash("b")), hash("a"), "x.yaml:10:40: access.tokens[1].sha256: is that of another token"},
		{"hash of nothing", hash("a"), hash(""), "access.tokens[0].sha256: is that of another token, or of nothing"},
		{"an inline token", "sha256: " + hash("a"), "token: hunter2", "x.yaml:9:19: access.tokens[0].token: unknown key"},
		{"key id", `id: "2026-11"`, `id: "2026/11"`, "x.yaml:12:12: access.signing_keys[0].id: must be 1 to 64 letters"},
		{"key id twice", "2026-10", "2026-11", "x.yaml:13:12: access.signing_keys[1].id: the same id twice"},
		{"no secret", ", secret_file: old", "", "access.signing_keys[1]: needs a secret_file"},
		{"an inline secret", "secret_file: old", "secret: hunter2", "access.signing_keys[1].secret: unknown key"},
		{"no time", "max_expires: 12h", "max_expires: 1ms", "x.yaml:14:16: access.max_expires: must be at least 1s"},
		{"public url", "https://Play.example.lan:443/", "play.example.lan", "x.yaml:4:15: http.public_url: must be an address such as"},
		{"password in it", "https://Play", "https://u:hunter2@Play", "x.yaml:4:15: http.public_url: must be an address such as"},
		{"no streams", "max_streams: 100", "max_streams: 0", "x.yaml:5:16: http.max_streams: must be at least 1"},
		{"negative", "client: 0", "client: -1", "x.yaml:6:27: http.max_streams_per_client: must be a number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(withAccess, c.old) {
				t.Fatalf("%q is not in the configuration", c.old)
			}
			_, err := Parse("x.yaml", []byte(strings.Replace(withAccess, c.old, c.new, 1)))
			if fault := (*Error)(nil); !errors.As(err, &fault) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got  %v\nwant %s", err, c.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the message quotes the file: %s", err)
			}
		})
	}
}

func TestAListenerBeyondLoopbackNeedsAWordOnWhoMayPlay(t *testing.T) {
	for access, decides := range map[string]bool{
		"":                           false,
		"access: {}":                 false,
		"access: {anonymous: false}": false,
		"access: {max_expires: 1h}":  false,
		"access: {tokens: []}":       false,
		"access: {anonymous: true}":  true,
		"access: {forward: }":        false,
		`access: {forward: {url: "http://crm/"}}`:                                                                   true,
		"access: {jwt: {issuer: a, audience: b, jwks_file: keys}}":                                                  true,
		"access: {signing_keys: [{id: a, secret_file: a}]}":                                                         true,
		"access: {tokens: [{name: crm, sha256: ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb}]}": true,
	} {
		for listen, beyond := range map[string]bool{
			"127.0.0.1:8080": false, "localhost:8080": false, "[::1]:8080": false, "127.9.9.9:0": false,
			":8080": true, "0.0.0.0:8080": true, "[::]:8080": true, "10.1.2.3:8080": true, "play.example.lan:8080": true,
		} {
			_, err := Parse("x.yaml", fmt.Appendf(nil, "http: {listen: %q}\n%s\n%s", listen, access, minimal))
			if (err != nil) != (beyond && !decides) {
				t.Errorf("%s, %q: %v", listen, access, err)
			}
			if err != nil && !strings.Contains(err.Error(), "write under access who may: tokens, signing_keys, forward, jwt, or anonymous: true") {
				t.Errorf("it does not say what to write: %v", err)
			}
		}
	}
}

func TestSigningSecretIsLong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	for secret, ok := range map[string]bool{
		strings.Repeat("s", 32):        true,
		strings.Repeat("s", 32) + "\n": true,
		strings.Repeat("s", 31) + "\n": false,
		strings.Repeat("\n", 40):       false,
		"hunter2":                      false,
	} {
		if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := SigningSecret(file)
		if (err == nil) != ok || ok && got != strings.TrimSpace(secret) || !ok && (got != "" || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%q: %q, %v", secret, got, err)
		}
	}
}
