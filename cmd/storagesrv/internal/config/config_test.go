package config

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const minimal = `metadata: {url: "http://miarec.example.lan:8080"}
storage:
  - prefix: /var/recordings
    mount: {root: /mnt/recordings}
`

const full = `
http:
  listen: "0.0.0.0:8080"
  admin: ""
  tls: {cert_file: /etc/tls.crt, key_file: /etc/tls.key}
  trusted_proxies: [10.1.2.3/32, 10.1.2.4, "fd00::/8"]
  cache_control: "no-store"
  stall_timeout: 30s
  drain_timeout: 10s
metadata:
  url: "https://miarec.example.lan/base"
  username: playback
  password_file: /run/secrets/miarec
  ca_file: /etc/ssl/miarec.pem
  timeout: 3s
  max_concurrent: 4
  cache_ttl: 30s
  negative_ttl: 2s
  stale_if_error: 1h
  encrypted_field: is_encrypted
storage:
  - prefix: /var/recordings
    mount: {root: /mnt/recordings, symlinks: inside, marker: .here, timeout: 6s, max_stuck: 8}
  - prefix: /var/recordings
    sftp:
      address: recorder.example.lan:22
      user: playback
      key_file: /etc/storagesrv/id_ed25519
      passphrase_file: /run/secrets/passphrase
      legacy_algorithms: true
      known_hosts: /etc/storagesrv/known_hosts
      root: /var/recordings
      symlinks: deny
      timeout: 4s
      keepalive: 5s
      connections: 2
      resume: 0s
  - prefix: 'C:\Recordings'
    mount: {root: /mnt/windows}
cache: {memory: 64MiB, revalidate: 1s}
playback: {headerless: [.ulaw, .alaw]}
access: {anonymous: true}
log: {level: debug, format: text}
`

func TestParseFillsInDefaults(t *testing.T) {
	c, err := Parse("x.yaml", []byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Listen != "127.0.0.1:8080" || c.HTTP.Admin != "127.0.0.1:8081" || time.Duration(c.Metadata.Timeout) != 5*time.Second ||
		c.Storage[0].Mount.Symlinks != Deny || c.Log.Format != "json" {
		t.Errorf("got %+v", c)
	}
}

func TestParseReadsEveryKey(t *testing.T) {
	c, err := Parse("x.yaml", []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	range4, range6 := netip.MustParsePrefix("10.1.2.3/32"), netip.MustParsePrefix("fd00::/8")
	want := &Config{
		HTTP: HTTP{
			Listen: "0.0.0.0:8080", Admin: "", TLS: TLS{"/etc/tls.crt", "/etc/tls.key"}, CacheControl: "no-store",
			TrustedProxies: []string{"10.1.2.3/32", "10.1.2.4", "fd00::/8"}, Proxies: []netip.Prefix{range4, netip.MustParsePrefix("10.1.2.4/32"), range6},
			StallTimeout: Duration(30 * time.Second), DrainTimeout: Duration(10 * time.Second), MaxStreams: 4096, MaxStreamsPerClient: 64,
		},
		Metadata: Metadata{
			URL: "https://miarec.example.lan/base", Username: "playback", PasswordFile: "/run/secrets/miarec", CAFile: "/etc/ssl/miarec.pem",
			Timeout: Duration(3 * time.Second), MaxConcurrent: 4, MaxDownloads: 8, CacheTTL: Duration(30 * time.Second), NegativeTTL: Duration(2 * time.Second),
			StaleIfError: Duration(time.Hour), EncryptedField: "is_encrypted",
		},
		Storage: []Entry{
			{Prefix: "/var/recordings", Mount: &Mount{Root: "/mnt/recordings", Marker: ".here", Symlinks: Inside, Timeout: Duration(6 * time.Second), MaxStuck: 8}},
			{Prefix: "/var/recordings", SFTP: &SFTP{
				Address: "recorder.example.lan:22", User: "playback", KeyFile: "/etc/storagesrv/id_ed25519", PassphraseFile: "/run/secrets/passphrase",
				LegacyAlgorithms: true, KnownHosts: "/etc/storagesrv/known_hosts", Root: "/var/recordings", Symlinks: Deny,
				Timeout: Duration(4 * time.Second), Keepalive: Duration(5 * time.Second),
				Connections: 2, Resume: new(Duration),
			}},
			{Prefix: `C:\Recordings`, Mount: &Mount{Root: "/mnt/windows", Symlinks: Deny}},
		},
		Cache:    Cache{Memory: 64 << 20, Revalidate: Duration(time.Second)},
		Playback: Playback{Encrypted: Refuse, Missing: Refuse, Spool: Spool{"/var/tmp", 1 << 30}, Headerless: []string{".ulaw", ".alaw"}},
		Access:   Access{Anonymous: true, MaxExpires: Duration(24 * time.Hour)},
		Log:      Log{"debug", "text"},
		File:     "x.yaml",
		source:   c.source,
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

// Each case changes one thing in the full configuration.
func TestParseNamesThePlaceOfAFault(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown key", "stall_timeout: 30s", "stal_timeout: 30s", "x.yaml:8:3: http.stal_timeout: unknown key"},
		{"unknown section", "playback:", "playbacks:", "x.yaml:41:1: playbacks: unknown key"},
		{"not yet a key", "keepalive: 5s", "max_packet: 4", "x.yaml:35:7: storage[1].sftp.max_packet: unknown key"},
		{"inline secret", "password_file: /run/secrets/miarec", "password: hunter2", "x.yaml:13:3: metadata.password: unknown key; secrets come from files: password_file"},
		{"twice", "drain_timeout: 10s", "stall_timeout: 10s", "x.yaml:9:3: http.stall_timeout: the same key twice"},
		{"no unit", "stall_timeout: 30s", "stall_timeout: 30", "x.yaml:8:18: http.stall_timeout: must be a duration, such as 30s"},
		{"odd unit", "timeout: 4s", "timeout: 4lightyears", "x.yaml:34:16: storage[1].sftp.timeout: must be a duration, such as 30s"},
		{"negative", "timeout: 4s", "timeout: -4s", "x.yaml:34:16: storage[1].sftp.timeout: must be a duration, such as 30s"},
		{"zero", "stall_timeout: 30s", "stall_timeout: 0s", "x.yaml:8:18: http.stall_timeout: must be at least 1s"},
		{"two lines", `cache_control: "no-store"`, `cache_control: "a\r\nSet-Cookie: b"`, "x.yaml:7:18: http.cache_control: must be one line"},
		{"no time", "timeout: 3s", "timeout: 1ns", "x.yaml:15:12: metadata.timeout: must be at least 100ms"},
		{"colon", "username: playback", "username: 'a:b'", "x.yaml:12:13: metadata.username: cannot have a colon"},
		{"number", "max_concurrent: 4", "max_concurrent: four", "x.yaml:16:19: metadata.max_concurrent: must be a whole number"},
		{"bool", "legacy_algorithms: true", "legacy_algorithms: [1]", "x.yaml:30:26: storage[1].sftp.legacy_algorithms: must be true or false"},
		{"too many", "connections: 2", "connections: 1000", "x.yaml:36:20: storage[1].sftp.connections: must be between 1 and 64"},
		{"size", "64MiB", "64MB", "x.yaml:40:17: cache.memory: must be a size, such as 256MiB, or 0"},
		{"number of bytes", "64MiB", "64", "x.yaml:40:17: cache.memory: must be a size"},
		{"huge size", "64MiB", "99999999TiB", "x.yaml:40:17: cache.memory: must be a size"},
		{"tiny size", "64MiB", "64KiB", "x.yaml:40:17: cache.memory: must be at least 1MiB"},
		{"list", "headerless: [.ulaw, .alaw]", "headerless: {a: b}", "x.yaml:41:24: playback.headerless"},
		{"mapping", "access: {anonymous: true}", "access: yes", "x.yaml:42:9: access: is a string where a mapping belongs"},
		{"broken", "access: {anonymous: true}", "access: {hunter2", "x.yaml:42:10: not valid YAML"},
		{"indented wrongly", "    mount: {root: /mnt/windows}", "   mount: {root: /mnt/windows}", "x.yaml:39:4: not valid YAML: look for keys that are not indented"},
		{"listen", `"0.0.0.0:8080"`, "everywhere", "x.yaml:3:11: http.listen: must be host:port"},
		{"beyond loopback", "anonymous: true", "anonymous: false", "x.yaml:3:11: http.listen: listens beyond this machine"},
		{"admin", `admin: ""`, "admin: here", "x.yaml:4:10: http.admin: must be host:port"},
		{"half of tls", ", key_file: /etc/tls.key", "", "x.yaml:5:8: http.tls: needs both"},
		{"proxy", "10.1.2.4,", "proxy.lan,", "x.yaml:6:34: http.trusted_proxies[1]: must be an address"},
		{"no url", `  url: "https://miarec.example.lan/base"`, "", "x.yaml:12:11: metadata: needs url"},
		{"url", "https://miarec.example.lan/base", "miarec.example.lan", "x.yaml:11:8: metadata.url: must be an address"},
		{"the API's url", "miarec.example.lan/base", "miarec.example.lan/api/v2", "x.yaml:11:8: metadata.url: must be a base address"},
		{"secret in url", "https://miarec", "https://u:hunter2@miarec", "x.yaml:11:8: metadata.url: must not hold a password"},
		{"url and catalog", "encrypted_field: is_encrypted", "catalog: calls.json", "x.yaml:20:12: metadata.catalog: cannot be set together with url"},
		{"no password", "  password_file: /run/secrets/miarec\n", "", "x.yaml:12:13: metadata.username: needs a password_file"},
		{"no username", "  username: playback\n", "", "metadata.password_file: needs a username"},
		{"prefix", "prefix: /var/recordings\n    mount", "prefix: recordings\n    mount", "x.yaml:22:13: storage[0].prefix: must be an absolute path"},
		{"relative root", "/mnt/recordings", "mnt/recordings", "x.yaml:23:19: storage[0].mount.root: must be the absolute path"},
		{"symlinks", "symlinks: inside", "symlinks: follow", "x.yaml:23:46: storage[0].mount.symlinks: must be deny or inside"},
		{"marker", "marker: .here", "marker: a/b", "x.yaml:23:62: storage[0].mount.marker: must be the name of a file"},
		{"stuck", "max_stuck: 8", "max_stuck: -1", "storage[0].mount.max_stuck: must be between 1 and 1000"},
		{"no store", "    mount: {root: /mnt/windows}\n", "", "storage[2]: needs either mount or sftp"},
		{"no address", "      address: recorder.example.lan:22\n", "", "storage[1].sftp.address: must be host"},
		{"no user", "      user: playback\n", "", "storage[1].sftp.user: must be the name"},
		{"no credential", "      key_file: /etc/storagesrv/id_ed25519\n      passphrase_file: /run/secrets/passphrase\n", "", "storage[1].sftp: needs either key_file or password_file"},
		{"no host key", "      known_hosts: /etc/storagesrv/known_hosts\n", "", "storage[1].sftp: needs either known_hosts or host_key"},
		{"host key", "known_hosts: /etc/storagesrv/known_hosts", "host_key: aa:bb", "storage[1].sftp.host_key: must be a fingerprint"},
		{"extension", ".alaw", "alaw", "x.yaml:41:32: playback.headerless[1]: must be an extension"},
		{"level", "level: debug", "level: loud", "x.yaml:43:14: log.level: must be"},
		{"format", "format: text", "format: xml", "x.yaml:43:29: log.format: must be"},
		{"two documents", "log:", "---\nlog:", "x.yaml: more than one YAML document"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(full, c.old) {
				t.Fatalf("%q is not in the configuration", c.old)
			}
			_, err := Parse("x.yaml", []byte(strings.Replace(full, c.old, c.new, 1)))
			if fault := (*Error)(nil); !errors.As(err, &fault) {
				t.Fatalf("got %T %v", err, err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %s\nwant %s", err, c.want)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
				t.Errorf("the message quotes the file: %s", err)
			}
		})
	}
}

func TestParseRefusesTwoListenersAtOneAddress(t *testing.T) {
	for _, c := range []struct {
		listen, admin string
		refused       bool
	}{
		{"127.0.0.1:8080", "127.0.0.1:8080", true},
		{"localhost:8080", "localhost:8080", true},
		{"0.0.0.0:8080", "127.0.0.1:8080", true},
		{"127.0.0.1:8080", ":8080", true},
		{"[::]:8080", "127.0.0.1:8080", true},
		{"0.0.0.0:8080", "localhost:8080", true},
		{"0.0.0.0:8080", "[::1]:8080", false},
		{"127.0.0.1:8080", "127.0.0.2:8080", false},
		{"127.0.0.1:8080", "127.0.0.1:8081", false},
		{"127.0.0.1:0", "127.0.0.1:0", false},
		{"127.0.0.1:8080", "", false},
	} {
		_, err := Parse("x.yaml", []byte("http:\n  listen: \""+c.listen+"\"\n  admin: \""+c.admin+"\"\naccess: {anonymous: true}\n"+minimal))
		if (err != nil) != c.refused || err != nil && !strings.HasPrefix(err.Error(), "x.yaml:3:10: http.admin: is where http.listen listens") {
			t.Errorf("%s and %s: %v", c.listen, c.admin, err)
		}
	}
}

func TestParseRefusesAnEmptyFileAndABomb(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'i'; c++ {
		prev := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+prev+",", 9) + "]\n"
	}
	for name, text := range map[string]string{
		"empty": "", "comment": "# nothing\n", "null": "null\n", "scalar": "hello\n", "list": "[]\n", "bomb": bomb,
		"brackets": strings.Repeat("[", 30_000), "brackets, with others closed": strings.Repeat("[[]", 10_000), "braces": strings.Repeat("{a: ", 7_000),
		"dashes": strings.Repeat("- ", 15_000),
		"tag":    "metadata: {catalog: calls.json}\nstorage:\n !- ", "large": strings.Repeat("#\n", 1<<20), "NUL": "http: \x00\n", "no storage": `metadata: {catalog: calls.json}`,
	} {
		if _, err := Parse("x.yaml", []byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestSecretIsTheFileWithoutItsNewline(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if got, err := Secret(file("plain", " hunter2 \r\n")); got != " hunter2 " || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	for name, content := range map[string]string{"empty": "\n", "large": strings.Repeat("x", 100_000)} {
		if _, err := Secret(file(name, content)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Secret(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}

func TestLoadLooksForFilesBesideTheConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.yaml")
	text := strings.NewReplacer("/run/secrets/", "", "/etc/ssl/", "ssl/").Replace(full)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(file)
	if got, want := c.Metadata.PasswordFile, filepath.Join(dir, "miarec"); got != want {
		t.Errorf("password_file %s, want %s", got, want)
	}
	if got, want := c.Storage[1].SFTP.PassphraseFile, filepath.Join(dir, "passphrase"); got != want {
		t.Errorf("passphrase_file %s, want %s", got, want)
	}
	if got := c.Storage[1].SFTP.KnownHosts; got != "/etc/storagesrv/known_hosts" {
		t.Errorf("an absolute path became %s", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(minimal)
	f.Add(full)
	f.Add("http: &a {listen: *a}\n")
	f.Add("metadata: {catalog: calls.json}\nstorage:\n !- ")
	f.Add("<<: *x\nstorage: [{<<: {prefix: /a}}]")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("x.yaml", []byte(text))
		if fault := (*Error)(nil); err != nil && !errors.As(err, &fault) {
			t.Errorf("%T: %v", err, err)
		}
		if err == nil && len(c.Storage) == 0 {
			t.Error("accepted without storage")
		}
	})
}

// A cache in between does not know who may play.
func TestASharedCacheIsForEveryone(t *testing.T) {
	const some, all = "access: {signing_keys: [{id: a, secret_file: a}]}\n", "access: {anonymous: true}\n"
	for _, c := range []struct {
		access, cacheControl string
		ok                   bool
	}{
		{some, "public, max-age=60", false},
		{some, "max-age=60, S-MaxAge=10", false},
		{some, "private, max-age=60", true},
		{all, "public, max-age=60", true},
		{"", "public, max-age=60", true},
	} {
		_, err := Parse("x.yaml", []byte("http: {cache_control: \""+c.cacheControl+"\"}\n"+c.access+minimal))
		if (err == nil) != c.ok || err != nil && !strings.HasPrefix(err.Error(), "x.yaml:1:23: http.cache_control: ") {
			t.Errorf("%s%s: %v", c.access, c.cacheControl, err)
		}
	}
}
