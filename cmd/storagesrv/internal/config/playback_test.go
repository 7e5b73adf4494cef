package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const withFallback = `metadata: {url: "http://miarec.example.lan:8080", max_downloads: 3}
storage: [{prefix: /var/recordings, mount: {root: /mnt/recordings}}]
playback:
  encrypted: redirect
  missing: proxy
  redirect_hosts: [play.example.lan, "10.1.2.3:8443", "[fd00::1]:443", "[fd00::2]"]
  spool: {dir: copies, size: 2GiB}
`

func TestParseReadsFallbacks(t *testing.T) {
	c, err := Parse("x.yaml", []byte(withFallback))
	if err != nil {
		t.Fatal(err)
	}
	want := Playback{
		Encrypted: Redirect, Missing: Proxy,
		RedirectHosts: []string{"play.example.lan", "10.1.2.3:8443", "[fd00::1]:443", "[fd00::2]"},
		Spool:         Spool{"copies", 2 << 30},
	}
	if !reflect.DeepEqual(c.Playback, want) || c.Metadata.MaxDownloads != 3 {
		t.Errorf("got %+v, max_downloads %d", c.Playback, c.Metadata.MaxDownloads)
	}
	if !c.Playback.Uses(Redirect) || !c.Playback.Uses(Proxy) {
		t.Error("it uses neither")
	}
}

func TestParseNamesThePlaceOfAFaultInFallbacks(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"way", "missing: proxy", "missing: ignore", "x.yaml:5:12: playback.missing: must be refuse, redirect or proxy"},
		{"empty way", "missing: proxy", `missing: ""`, "x.yaml:5:12: playback.missing: must be refuse, redirect or proxy"},
		{"catalog", `url: "http://miarec.example.lan:8080"`, "catalog: calls.json", "x.yaml:4:14: playback.encrypted: must be refuse where metadata comes from a catalog"},
		{"URL", "play.example.lan", `"https://play.example.lan"`, "x.yaml:6:20: playback.redirect_hosts[0]: must be a host"},
		{"path", "play.example.lan", "play.example.lan/calls", "playback.redirect_hosts[0]: must be a host"},
		{"wildcard", "play.example.lan", `"*.example.lan"`, "playback.redirect_hosts[0]: must be a host"},
		{"port", "10.1.2.3:8443", "10.1.2.3:https", "playback.redirect_hosts[1]: must be a host"},
		{"bare IPv6", "[fd00::1]:443", "fd00::1", "playback.redirect_hosts[2]: must be a host"},
		{"no host", "[fd00::1]:443", "", "playback.redirect_hosts[2]: must be a host"},
		{"size", "2GiB", "512KiB", "x.yaml:7:30: playback.spool.size: must be at least 1MiB"},
		{"no size", "2GiB", "0", "playback.spool.size: must be at least 1MiB"},
		{"directory", "dir: copies", `dir: ""`, "x.yaml:7:16: playback.spool.dir: must be a directory"},
		{"unknown key", "size: 2GiB", "bytes: 2GiB", "playback.spool.bytes: unknown key"},
		{"downloads", "max_downloads: 3", "max_downloads: 0", "metadata.max_downloads: must be at least 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(withFallback, c.old) {
				t.Fatalf("%q is not in the configuration", c.old)
			}
			_, err := Parse("x.yaml", []byte(strings.Replace(withFallback, c.old, c.new, 1)))
			if fault := (*Error)(nil); !errors.As(err, &fault) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestLoadLooksForTheSpoolBesideTheConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(file, []byte(withFallback), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(filepath.Dir(file), "copies"); c.Playback.Spool.Dir != want {
		t.Errorf("got %s, want %s", c.Playback.Spool.Dir, want)
	}
}
