package sftp

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path"
	"strconv"
	"strings"
	"time"

	"storagesrv/storage"
)

// Config says which server, who we are there, and what is served. The zero
// value of a field is its default; Address, User, a credential, and one of
// KnownHosts and HostKey are required.
type Config struct {
	// Address is host:port; without a port it is 22.
	Address string
	User    string

	// PrivateKey is in PEM, and encrypted with Passphrase if that is not empty.
	PrivateKey []byte
	Passphrase []byte
	// Password is also the answer to a single hidden prompt of
	// keyboard-interactive authentication; anything else that is asked
	// interactively is refused.
	Password string

	// KnownHosts is a file in OpenSSH's format, hashed names and the marks
	// @cert-authority and @revoked included. It is read anew for each dial.
	KnownHosts string
	// HostKey is the fingerprint of one host key of the server, of any type,
	// as ssh-keygen -l prints it: "SHA256:...".
	HostKey string

	// Root is the directory on the server that names are relative to: "" means
	// "/". Many accounts are confined to one. It may be a symbolic link.
	Root string
	// FollowLinks lets components below Root be symbolic links, as long as the
	// server's REALPATH says that they lead inside Root. Otherwise a link is
	// refused.
	FollowLinks bool

	// LegacyAlgorithms adds SHA-1 key exchange and signatures, DSA host keys
	// and CBC ciphers, for servers that offer nothing else.
	LegacyAlgorithms bool

	// Timeout bounds the TCP connect, then the handshake with authentication
	// and subsystem, and then every single answer. Open takes at most twice as
	// long. An answer that waits behind others, which come, as over a slow link,
	// may take six times as long. 0 means 10 s.
	Timeout time.Duration
	// Keepalive is how often the server is asked for a sign of life: 0 means 15 s.
	Keepalive time.Duration

	// Connections is how many SSH connections there may be: 0 means 4. The
	// first is dialed at once, further ones as there is more to carry.
	Connections int
	// Resume is how long an open File looks for another connection when it has
	// lost its own: 0 means 30 s, less than 0 not at all.
	Resume time.Duration

	// Logger is told of connections that come and go: nil means none.
	Logger *slog.Logger
	// OnDial, if not nil, is told how each dial ended: "ok", "unreachable",
	// "timeout", "denied" or "hostkey".
	OnDial func(result string)
	// OnResume, if not nil, is told each time that an open File, all of whose
	// connections were lost, goes on over another. It must not use the File.
	OnResume func()
}

// withDefaults returns c with defaults in place of zero values, or what is
// wrong with c. The error holds no secret.
func (c Config) withDefaults() (Config, error) {
	c.Root = path.Clean(cmp.Or(c.Root, "/"))
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	c.Keepalive = cmp.Or(c.Keepalive, 15*time.Second)
	c.Connections = cmp.Or(c.Connections, 4)
	c.Resume = max(cmp.Or(c.Resume, 30*time.Second), 0)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	if c.OnDial == nil {
		c.OnDial = func(string) {}
	}
	if c.OnResume == nil {
		c.OnResume = func() {}
	}
	var err error
	switch c.Address, err = withPort(c.Address); {
	case err != nil:
		return c, err
	case c.User == "":
		return c, errors.New("user: required")
	case len(c.PrivateKey) == 0 && c.Password == "":
		return c, errors.New("key_file: required unless there is a password")
	case c.KnownHosts == "" && c.HostKey == "":
		return c, errors.New("known_hosts: required unless there is a host_key")
	case c.KnownHosts != "" && c.HostKey != "":
		return c, errors.New("host_key: cannot be combined with known_hosts")
	case len(c.Root) > storage.MaxPath || strings.ContainsRune(c.Root, 0):
		return c, fmt.Errorf("root: must be a path of at most %d bytes", storage.MaxPath)
	case c.Connections < 0:
		return c, errors.New("connections: below zero")
	case c.Timeout < 0:
		return c, errors.New("timeout: below zero")
	case c.Keepalive < 0:
		return c, errors.New("keepalive: below zero")
	}
	return c, nil
}

// withPort returns address with port 22 where it has none.
func withPort(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = strings.Trim(address, "[]"), "22"
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if host == "" || strings.ContainsAny(host, " /@[]") || err != nil || n == 0 {
		return "", errors.New("address: must be host or host:port")
	}
	return net.JoinHostPort(host, port), nil
}

// patience is how long an answer may take before another connection is asked
// as well.
func (c Config) patience() time.Duration {
	return max(c.Timeout/8, min(c.Timeout/2, 250*time.Millisecond))
}
