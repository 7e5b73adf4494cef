package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// Playback says what is done about recordings that the storage cannot play, and
// what is served without proof.
type Playback struct {
	Encrypted Fallback `yaml:"encrypted"` // for what is ciphertext, or may be
	Missing   Fallback `yaml:"missing"`   // for what is not on the storage

	RedirectHosts []string `yaml:"redirect_hosts"` // host or host:port, besides that of metadata.url
	Spool         Spool    `yaml:"spool"`

	// Headerless lists file name extensions, with their dots, of raw audio
	// that has no header to prove it by.
	Headerless []string `yaml:"headerless"`
}

// Spool is where copies are of what the recorder sends only whole.
type Spool struct {
	Dir  string `yaml:"dir"`
	Size Size   `yaml:"size"` // of all copies together
}

// Fallback is what is done about a recording that the storage cannot play.
type Fallback string

// The three fallbacks.
const (
	Refuse   Fallback = "refuse"
	Redirect Fallback = "redirect" // the recorder's way 1
	Proxy    Fallback = "proxy"    // the recorder's way 2
)

func defaultPlayback() Playback {
	return Playback{Encrypted: Refuse, Missing: Refuse, Spool: Spool{Dir: "/var/tmp", Size: 1 << 30}}
}

// Uses reports whether anything is to be done in a way.
func (p *Playback) Uses(way Fallback) bool { return p.Encrypted == way || p.Missing == way }

// extension is a file name extension of a recording, with its dot.
var extension = regexp.MustCompile(`^\.[0-9A-Za-z]{1,16}$`)

// redirectHost is a name or an IPv4 address, perhaps with a port.
var redirectHost = regexp.MustCompile(`^[0-9A-Za-z_](?:[0-9A-Za-z_.-]{0,251}[0-9A-Za-z_])?(?::[1-9][0-9]{0,4})?$`)

func (c *Config) validatePlayback(in source) error {
	p := &c.Playback
	for _, fallback := range []struct {
		key string
		way Fallback
	}{{"playback.encrypted", p.Encrypted}, {"playback.missing", p.Missing}} {
		switch {
		case fallback.way != Refuse && fallback.way != Redirect && fallback.way != Proxy:
			return in.fault(fallback.key, "must be refuse, redirect or proxy")
		case fallback.way != Refuse && c.Metadata.Catalog != "":
			return in.fault(fallback.key, "must be refuse where metadata comes from a catalog: there is no recorder to ask")
		}
	}
	for i, host := range p.RedirectHosts {
		if !redirectHost.MatchString(host) && !isIPv6(host) {
			return in.fault(fmt.Sprintf("playback.redirect_hosts[%d]", i), "must be a host, or host:port, such as miarec.example.lan")
		}
	}
	switch {
	case p.Spool.Dir == "":
		return in.fault("playback.spool.dir", "must be a directory")
	case p.Spool.Size < 1<<20:
		return in.fault("playback.spool.size", "must be at least 1MiB")
	}
	for i, ext := range p.Headerless {
		if !extension.MatchString(ext) {
			return in.fault(fmt.Sprintf("playback.headerless[%d]", i), "must be an extension with its dot, such as .ulaw")
		}
	}
	return nil
}

// isIPv6 reports whether host is [address] or [address]:port.
func isIPv6(host string) bool {
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host += ":443"
	}
	at, err := netip.ParseAddrPort(host)
	return err == nil && at.Addr().Is6() && at.Addr().Zone() == ""
}
