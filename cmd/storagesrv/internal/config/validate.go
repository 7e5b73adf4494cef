package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"
	"unicode"

	"storagesrv/cmd/storagesrv/internal/access"
	"storagesrv/storage"
)

// validate checks what the types alone do not, and fills in what is derived.
func (c *Config) validate(in source) error {
	for _, check := range []func(source) error{c.validateHTTP, c.validateMetadata, c.validateStorage, c.validateCache, c.validatePlayback, c.validateAccess, c.validateAudit, c.validateLog} {
		if err := check(in); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) validateHTTP(in source) error {
	h := &c.HTTP
	if _, _, err := net.SplitHostPort(h.Listen); err != nil {
		return in.fault("http.listen", "must be host:port, such as 127.0.0.1:8080")
	}
	if _, _, err := net.SplitHostPort(h.Admin); err != nil && h.Admin != "" {
		return in.fault("http.admin", `must be host:port, such as 127.0.0.1:8081, or "" for none`)
	}
	if h.Admin != "" && clash(h.Listen, h.Admin) {
		return in.fault("http.admin", "is where http.listen listens already: it takes another port")
	}
	if (h.TLS.CertFile == "") != (h.TLS.KeyFile == "") {
		return in.fault("http.tls", "needs both cert_file and key_file")
	}
	if time.Duration(h.StallTimeout) < time.Second {
		return in.fault("http.stall_timeout", "must be at least 1s")
	}
	if strings.ContainsFunc(h.CacheControl, unicode.IsControl) {
		return in.fault("http.cache_control", "must be one line")
	}
	if h.PublicURL != "" {
		origin, err := access.ParseOrigin(h.PublicURL)
		if err != nil {
			return in.fault("http.public_url", "must be an address such as https://play.example.lan, or https://crm.example.lan/play if a proxy takes off /play")
		}
		h.Public = &origin
	}
	if h.MaxStreams < 1 {
		return in.fault("http.max_streams", "must be at least 1")
	}
	if h.MaxStreamsPerClient < 0 {
		return in.fault("http.max_streams_per_client", "must be a number, or 0 for no limit")
	}
	if err := h.validateCORS(in); err != nil {
		return err
	}
	for i, text := range h.TrustedProxies {
		prefix, err := parseRange(text)
		if err != nil {
			return in.fault(fmt.Sprintf("http.trusted_proxies[%d]", i), "must be an address or a CIDR range, such as 10.1.2.3 or 10.1.2.0/24")
		}
		h.Proxies = append(h.Proxies, prefix)
	}
	return nil
}

// clash reports whether two listeners cannot both have their addresses.
func clash(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	if portA != portB || portA == "0" { // 0 is any that is free
		return false
	}
	return covers(hostA, hostB) || covers(hostB, hostA)
}

// covers reports whether who listens at one host does so at another, too.
func covers(host, other string) bool {
	if host == other || host == "" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	at, err := netip.ParseAddr(other)
	if err != nil { // a name: that of this machine in the usual case
		return ip.IsUnspecified()
	}
	return ip.Unmap() == at.Unmap() || ip.IsUnspecified() && (ip.Is6() || at.Unmap().Is4())
}

// loopback reports whether only this machine reaches a listener at address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

func parseRange(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		return address.Unmap().Prefix(address.Unmap().BitLen())
	}
	prefix, err := netip.ParsePrefix(text)
	if err == nil && prefix.Addr().Is4In6() {
		err = fmt.Errorf("an IPv4 range in IPv6 clothes")
	}
	return prefix, err
}

func (c *Config) validateMetadata(in source) error {
	m := &c.Metadata
	switch {
	case m.URL == "" && m.Catalog == "":
		return in.fault("metadata", "needs url, the base address of the recorder, or catalog, a file of calls")
	case m.URL != "" && m.Catalog != "":
		return in.fault("metadata.catalog", "cannot be set together with url")
	case m.Username != "" && m.PasswordFile == "":
		return in.fault("metadata.username", "needs a password_file")
	case m.Username == "" && m.PasswordFile != "":
		return in.fault("metadata.password_file", "needs a username")
	case m.MaxConcurrent < 1:
		return in.fault("metadata.max_concurrent", "must be at least 1")
	case m.MaxDownloads < 1:
		return in.fault("metadata.max_downloads", "must be at least 1")
	case strings.Contains(m.Username, ":"):
		return in.fault("metadata.username", "cannot have a colon in HTTP Basic")
	case time.Duration(m.Timeout) < 100*time.Millisecond:
		return in.fault("metadata.timeout", "must be at least 100ms")
	}
	if m.URL != "" {
		u, err := url.Parse(m.URL)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			return in.fault("metadata.url", "must be an address such as http://miarec.example.lan:8080")
		case u.User != nil:
			return in.fault("metadata.url", "must not hold a password: use username and password_file")
		case u.RawQuery != "" || u.Fragment != "" || strings.Contains(u.Path, "/api/"):
			return in.fault("metadata.url", "must be a base address, without /api/v2, ? and #")
		}
	}
	return nil
}

func (c *Config) validateStorage(in source) error {
	if len(c.Storage) == 0 {
		return in.fault("storage", "needs at least one entry, with prefix and mount or sftp")
	}
	for i := range c.Storage {
		e, key := &c.Storage[i], fmt.Sprintf("storage[%d]", i)
		if err := checkPrefix(e.Prefix); err != nil {
			return in.fault(key+".prefix", "must be an absolute path as the recorder writes it, such as /var/recordings or 'C:\\Recordings'")
		}
		var err error
		switch {
		case (e.Mount == nil) == (e.SFTP == nil):
			return in.fault(key, "needs either mount or sftp")
		case e.Mount != nil:
			err = e.Mount.validate(in, key+".mount")
		default:
			err = e.SFTP.validate(in, key+".sftp")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkPrefix asks the router, which is what will read it.
func checkPrefix(prefix string) error {
	_, err := storage.NewRouter(storage.Entry{Prefix: prefix})
	return err
}

func (m *Mount) validate(in source, key string) error {
	switch {
	case !filepath.IsAbs(m.Root):
		return in.fault(key+".root", "must be the absolute path of a directory")
	case m.Marker != "" && (storage.CheckName(m.Marker) != nil || strings.Contains(m.Marker, "/")):
		return in.fault(key+".marker", "must be the name of a file in root, such as .storagesrv")
	case m.MaxStuck < 0 || m.MaxStuck > maxStuck:
		return in.fault(key+".max_stuck", "must be between 1 and %d", maxStuck)
	}
	return m.Symlinks.validate(in, key)
}

// maxStuck keeps a dead mount from holding more threads than Go allows a
// process, which is 10,000 in all.
const maxStuck = 1000

// maxConnections keeps a slip of the finger from storming a server: OpenSSH
// begins to drop those that are not logged in yet at 10.
const maxConnections = 64

// fingerprint is what ssh-keygen -l prints: SHA256 and 32 bytes of unpadded base64.
var fingerprint = regexp.MustCompile(`^SHA256:[A-Za-z0-9+/]{43}$`)

func (s *SFTP) validate(in source, key string) error {
	switch {
	case s.Address == "":
		return in.fault(key+".address", "must be host or host:port of the SFTP server")
	case s.User == "":
		return in.fault(key+".user", "must be the name of the account on the SFTP server")
	case (s.KeyFile == "") == (s.PasswordFile == ""):
		return in.fault(key, "needs either key_file or password_file")
	case s.PassphraseFile != "" && s.KeyFile == "":
		return in.fault(key+".passphrase_file", "needs a key_file")
	case (s.KnownHosts == "") == (s.HostKey == ""):
		return in.fault(key, "needs either known_hosts or host_key: an unverified server could be anyone")
	case s.HostKey != "" && !fingerprint.MatchString(s.HostKey):
		return in.fault(key+".host_key", "must be a fingerprint as ssh-keygen -l prints it: SHA256 and 43 characters")
	case s.Root != "" && !strings.HasPrefix(s.Root, "/"):
		return in.fault(key+".root", "must be an absolute path on the SFTP server")
	case s.Connections < 0 || s.Connections > maxConnections:
		return in.fault(key+".connections", "must be between 1 and %d", maxConnections)
	}
	return s.Symlinks.validate(in, key)
}

func (c *Config) validateCache(in source) error {
	if least := Size(1 << 20); c.Cache.Memory > 0 && c.Cache.Memory < least {
		return in.fault("cache.memory", "must be at least 1MiB, or 0 for none")
	}
	return nil
}

func (s *Symlinks) validate(in source, key string) error {
	switch *s {
	case "":
		*s = Deny
	case Deny, Inside:
	default:
		return in.fault(key+".symlinks", "must be deny or inside")
	}
	return nil
}

func (c *Config) validateLog(in source) error {
	switch c.Log.Level {
	case "debug", "info", "warn", "error":
	default:
		return in.fault("log.level", "must be debug, info, warn or error")
	}
	if c.Log.Format != "json" && c.Log.Format != "text" {
		return in.fault("log.format", "must be json or text")
	}
	return nil
}
