// Package config reads the configuration file of storagesrv.
//
// The file is YAML. A key that is not known is an error, as is a value that
// cannot work; an error names the file, line, column and key, and quotes
// nothing of the file, where a secret may stand.
package config

import (
	"net/netip"
	"time"

	"storagesrv/cmd/storagesrv/internal/access"
)

// Config is the whole configuration, with defaults filled in.
type Config struct {
	HTTP     HTTP     `yaml:"http"`
	Metadata Metadata `yaml:"metadata"`
	Storage  []Entry  `yaml:"storage"`
	Cache    Cache    `yaml:"cache"`
	Playback Playback `yaml:"playback"`
	Access   Access   `yaml:"access"`
	Audit    *Audit   `yaml:"audit"` // nil: none
	Log      Log      `yaml:"log"`

	File string `yaml:"-"` // where it was read

	source source // what was read
}

// HTTP is how clients reach the server.
type HTTP struct {
	Listen         string   `yaml:"listen"`          // host:port of the public listener
	Admin          string   `yaml:"admin"`           // host:port of health and metrics; "" = off
	TLS            TLS      `yaml:"tls"`             // empty: plain HTTP
	PublicURL      string   `yaml:"public_url"`      // what signed links begin with; "" = where the request for one came to
	TrustedProxies []string `yaml:"trusted_proxies"` // addresses or CIDR ranges whose forwarding headers are believed
	CORSOrigins    []string `yaml:"cors_origins"`    // whose pages may read what they are answered
	CacheControl   string   `yaml:"cache_control"`   // of settled recordings
	StallTimeout   Duration `yaml:"stall_timeout"`   // a client that takes nothing for this long is cut
	DrainTimeout   Duration `yaml:"drain_timeout"`   // how long running streams may finish at the end

	MaxStreams          int `yaml:"max_streams"`            // recordings that are sent at a time
	MaxStreamsPerClient int `yaml:"max_streams_per_client"` // to one address, but for callers with a token; 0 = no limit

	Proxies []netip.Prefix `yaml:"-"` // TrustedProxies, parsed
	Public  *access.Origin `yaml:"-"` // PublicURL, parsed; nil if there is none
}

// TLS names the certificate chain and its key, PEM files both.
type TLS struct {
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// Metadata is where calls are looked up: the recorder's API, or a file in its shape.
type Metadata struct {
	URL            string   `yaml:"url"`
	Username       string   `yaml:"username"`
	PasswordFile   string   `yaml:"password_file"`
	CAFile         string   `yaml:"ca_file"`
	Timeout        Duration `yaml:"timeout"` // one look-up, retries included
	MaxConcurrent  int      `yaml:"max_concurrent"`
	MaxDownloads   int      `yaml:"max_downloads"` // recordings on their way at a time, for playback by proxy
	CacheTTL       Duration `yaml:"cache_ttl"`
	NegativeTTL    Duration `yaml:"negative_ttl"`
	StaleIfError   Duration `yaml:"stale_if_error"`
	EncryptedField string   `yaml:"encrypted_field"`
	Catalog        string   `yaml:"catalog"`
}

// Entry says that recordings whose file_path starts with Prefix are in a
// mounted directory or on an SFTP server: one of the two is set.
type Entry struct {
	Prefix string `yaml:"prefix"`
	Mount  *Mount `yaml:"mount"`
	SFTP   *SFTP  `yaml:"sftp"`
}

// Mount is a directory of this machine.
type Mount struct {
	Root     string   `yaml:"root"`
	Marker   string   `yaml:"marker"` // a file below root that is there when the mount is; "" = none
	Symlinks Symlinks `yaml:"symlinks"`
	Timeout  Duration `yaml:"timeout"`   // 0 stands for the default, as below
	MaxStuck int      `yaml:"max_stuck"` // system calls that may hang there before all is refused at once
}

// SFTP is a directory of an SFTP server.
type SFTP struct {
	Address          string   `yaml:"address"` // host or host:port
	User             string   `yaml:"user"`
	KeyFile          string   `yaml:"key_file"`
	PassphraseFile   string   `yaml:"passphrase_file"`
	PasswordFile     string   `yaml:"password_file"`
	LegacyAlgorithms bool     `yaml:"legacy_algorithms"`
	KnownHosts       string   `yaml:"known_hosts"`
	HostKey          string   `yaml:"host_key"`
	Root             string   `yaml:"root"`
	Symlinks         Symlinks `yaml:"symlinks"`
	Connections      int      `yaml:"connections"` // at most; 0 stands for the default, as below
	Timeout          Duration `yaml:"timeout"`
	Keepalive        Duration `yaml:"keepalive"`

	// Resume is how long a running stream looks for another connection. 0 is
	// not at all, and nil stands for the default.
	Resume *Duration `yaml:"resume"`
}

// Symlinks is what is done about symbolic links below a root.
type Symlinks string

// The two policies.
const (
	Deny   Symlinks = "deny"   // a link is refused
	Inside Symlinks = "inside" // a link is followed if it leads to a place inside the root
)

// Cache is what is kept of recordings on SFTP servers.
type Cache struct {
	Memory     Size     `yaml:"memory"`     // of all of them together; 0 = nothing
	Revalidate Duration `yaml:"revalidate"` // what is kept is checked again after this
}

// Log is what is logged to standard error, and how.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // json, text
}

// Default returns the configuration of an empty file, which lacks only
// metadata and storage.
func Default() Config {
	return Config{
		HTTP: HTTP{
			Listen:       "127.0.0.1:8080",
			Admin:        "127.0.0.1:8081",
			CacheControl: "private, max-age=60",
			StallTimeout: Duration(time.Minute),
			DrainTimeout: Duration(time.Minute),

			MaxStreams:          4096,
			MaxStreamsPerClient: 64,
		},
		Metadata: Metadata{
			Timeout:        Duration(5 * time.Second),
			MaxConcurrent:  8,
			MaxDownloads:   8,
			CacheTTL:       Duration(time.Minute),
			NegativeTTL:    Duration(5 * time.Second),
			StaleIfError:   Duration(24 * time.Hour),
			EncryptedField: "encrypted",
		},
		Playback: defaultPlayback(),
		Cache:    Cache{Memory: 256 << 20, Revalidate: Duration(5 * time.Second)},
		Access:   Access{MaxExpires: Duration(24 * time.Hour)},
		Log:      Log{Level: "info", Format: "json"},
	}
}
