package main

import (
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"storagesrv/cmd/storagesrv/internal/audit"
	"storagesrv/cmd/storagesrv/internal/config"
	"storagesrv/cmd/storagesrv/internal/server"
	"storagesrv/metadata"
	"storagesrv/storage"
	"storagesrv/storage/mount"
	"storagesrv/storage/sftp"
)

// A service is a configuration come to life: everything that one process
// serves with.
type service struct {
	server   *server.Server
	log      *slog.Logger
	metrics  *metrics
	recorder *metadata.Client // nil if there is a catalog instead
	audit    *audit.Log       // nil: none
	cache    *storage.Cache   // of all recordings over SFTP
	ahead    *storage.Budget  // of all listeners over SFTP together
	closers  []func()         // in the order they were made
}

// readAhead is how many bytes may be read ahead of all listeners together,
// beyond 64 KiB for each: three times what is on its way at most over a store's
// connections, whose windows are 2 MiB each. More would only queue.
const readAhead = 24 << 20

// assemble builds the object graph. This is the only place that knows which
// piece stands before which. An audit without a file goes to stdout.
func assemble(c *config.Config, log *slog.Logger, stdout io.Writer) (_ *service, err error) {
	s := &service{log: log, ahead: storage.NewBudget(readAhead)}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.metrics = newMetrics(registry)

	calls, err := s.calls(c.Metadata)
	if err != nil {
		return nil, err
	}
	fallback, err := s.fallback(c)
	if err != nil {
		return nil, err
	}
	s.cache = storage.NewCache(storage.CacheConfig{
		Memory:     int64(c.Cache.Memory),
		Revalidate: time.Duration(c.Cache.Revalidate),
		Observe:    s.metrics.read,
	})
	s.closers = append(s.closers, s.cache.Close)
	s.metrics.watchCache(s.cache.Bytes)
	entries := make([]storage.Entry, len(c.Storage))
	labels := labels(c.Storage)
	for i, e := range c.Storage {
		if entries[i], err = s.store(e, labels[i], hasOther(c.Storage, i), orNone(c.Cache.Revalidate)); err != nil {
			return nil, fmt.Errorf("storage[%d].%w", i, err)
		}
	}
	router, err := storage.NewRouter(entries...)
	if err != nil {
		return nil, err
	}
	schemes, err := s.schemes(c.Access)
	if err != nil {
		return nil, err
	}
	admittance, err := newAdmittance(c.Access, schemes)
	if err != nil {
		return nil, err
	}
	if s.audit, err = s.openAudit(c.Audit, stdout); err != nil {
		return nil, err
	}
	s.server = server.New(server.Config{
		Calls:        calls,
		Recordings:   router,
		Access:       admittance.recordings,
		API:          admittance.api,
		Links:        admittance.links,
		Public:       c.HTTP.Public,
		CORSOrigins:  c.HTTP.CORSOrigins,
		Fallback:     fallback,
		CacheControl: c.HTTP.CacheControl,
		Headerless:   c.Playback.Headerless,
		StallTimeout: time.Duration(c.HTTP.StallTimeout),
		Proxies:      c.HTTP.Proxies,
		Audit:        s.audit,
		Log:          log,
		Metrics:      registry,
		OnResume:     s.metrics.resumed,

		MaxStreams:          c.HTTP.MaxStreams,
		MaxStreamsPerClient: c.HTTP.MaxStreamsPerClient,
	})
	return s, nil
}

// close ends what the pieces have running, last made first.
func (s *service) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
}

// calls is cache(client), or a catalog.
func (s *service) calls(c config.Metadata) (server.Calls, error) {
	if c.Catalog != "" {
		catalog, err := metadata.LoadCatalog(c.Catalog, c.EncryptedField)
		if err != nil {
			return nil, fmt.Errorf("metadata.catalog: %w", err)
		}
		return catalog, nil
	}
	password, roots, err := s.recorderSecrets(c)
	if err != nil {
		return nil, err
	}
	client, err := metadata.NewClient(metadata.ClientConfig{
		URL:            c.URL,
		Username:       c.Username,
		Password:       password,
		RootCAs:        roots,
		Timeout:        time.Duration(c.Timeout),
		MaxConcurrent:  c.MaxConcurrent,
		MaxDownloads:   c.MaxDownloads,
		EncryptedField: c.EncryptedField,
		Logger:         s.log,
	})
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	s.recorder = client
	cache := metadata.NewCache(client, metadata.CacheConfig{
		TTL:          orNone(c.CacheTTL),
		NegativeTTL:  orNone(c.NegativeTTL),
		StaleIfError: orNone(c.StaleIfError),
		Timeout:      time.Duration(c.Timeout) + time.Second,
		Logger:       s.log,
		Observe:      s.metrics.lookedUp,
	})
	s.closers = append(s.closers, client.Close, cache.Close)
	return cache, nil
}

// orNone spells "not at all" as package metadata does, whose 0 is a default.
func orNone(d config.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return time.Duration(d)
}

func (s *service) recorderSecrets(c config.Metadata) (password string, roots *x509.CertPool, err error) {
	if c.PasswordFile != "" {
		if password, err = config.Secret(c.PasswordFile); err != nil {
			return "", nil, fmt.Errorf("metadata.password_file: %w", err)
		}
	}
	if roots, err = authorities(c.CAFile); err != nil {
		return "", nil, fmt.Errorf("metadata.ca_file: %w", err)
	}
	return password, roots, nil
}

// authorities reads a file of certificates; nil stands for the system's, if
// none is named.
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := config.Certificates(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", file)
	}
	return roots, nil
}

// labels are what operators call the stores: prefix and kind, and a number
// where that would be the same.
func labels(entries []config.Entry) []string {
	labels, seen := make([]string, len(entries)), make(map[string]int)
	for i, e := range entries {
		label := e.Prefix + " mount"
		if e.SFTP != nil {
			label = e.Prefix + " sftp"
		}
		if seen[label]++; seen[label] > 1 {
			label = fmt.Sprintf("%s #%d", label, seen[label])
		}
		labels[i] = label
	}
	return labels
}

// hasOther reports whether another entry has the same prefix.
func hasOther(entries []config.Entry, i int) bool {
	return slices.ContainsFunc(entries, func(e config.Entry) bool { return e.Prefix == entries[i].Prefix && e != entries[i] })
}

// impatience is how long a stream looks for another connection to its server
// when there is another store that it can go on in.
const impatience = 5 * time.Second

// store makes one line of the routing table: a mount, bare, so that the
// kernel can send its files; or readahead(cache(sftp)).
func (s *service) store(e config.Entry, label string, hasOther bool, revalidate time.Duration) (storage.Entry, error) {
	if e.Mount != nil {
		store, err := mount.New(mount.Config{
			Root:        e.Mount.Root,
			Marker:      e.Mount.Marker,
			FollowLinks: e.Mount.Symlinks == config.Inside,
			Timeout:     time.Duration(e.Mount.Timeout),
			MaxStuck:    e.Mount.MaxStuck,
			Revalidate:  revalidate,
			Logger:      s.log.With("store", label),
		})
		if err != nil {
			return storage.Entry{}, fmt.Errorf("mount.%w", err)
		}
		s.metrics.watchStuck(label, store.Stuck)
		s.closers = append(s.closers, func() { store.Close() }) // returns no error
		return storage.Entry{Prefix: e.Prefix, Label: label, Store: store, Health: store.Health}, nil
	}
	c, err := sftpConfig(e.SFTP)
	if err != nil {
		return storage.Entry{}, fmt.Errorf("sftp.%w", err)
	}
	c.Logger = s.log
	c.OnDial = s.metrics.dialed(label)
	c.OnResume = func() { s.metrics.resumed(label) }
	s.metrics.resumes.WithLabelValues(label) // there from the start, with 0 in it
	if hasOther && c.Resume > impatience {
		c.Resume = impatience
	}
	store, err := sftp.New(c)
	if err != nil {
		return storage.Entry{}, fmt.Errorf("sftp.%w", err)
	}
	store.Health() // begins to connect: the first listener need not wait for it
	s.metrics.watchConnections(label, store.Connections)
	s.closers = append(s.closers, func() { store.Close() }) // returns no error
	return storage.Entry{Prefix: e.Prefix, Label: label, Store: storage.ReadAhead(s.cache.Over(label, store), s.ahead), Health: store.Health}, nil
}

// sftpConfig reads the secrets that a configuration names.
func sftpConfig(c *config.SFTP) (sftp.Config, error) {
	out := sftp.Config{
		Address:          c.Address,
		User:             c.User,
		KnownHosts:       c.KnownHosts,
		HostKey:          c.HostKey,
		Root:             c.Root,
		FollowLinks:      c.Symlinks == config.Inside,
		LegacyAlgorithms: c.LegacyAlgorithms,
		Connections:      c.Connections,
		Timeout:          time.Duration(c.Timeout),
		Keepalive:        time.Duration(c.Keepalive),
	}
	out.Resume = 30 * time.Second
	if c.Resume != nil {
		out.Resume = orNone(*c.Resume)
	}
	for _, secret := range []struct {
		key, file string
		set       func(string)
	}{
		{"key_file", c.KeyFile, func(s string) { out.PrivateKey = []byte(s + "\n") }},
		{"passphrase_file", c.PassphraseFile, func(s string) { out.Passphrase = []byte(s) }},
		{"password_file", c.PasswordFile, func(s string) { out.Password = s }},
	} {
		if secret.file == "" {
			continue
		}
		text, err := config.Secret(secret.file)
		if err != nil {
			return sftp.Config{}, fmt.Errorf("%s: %w", secret.key, err)
		}
		secret.set(text)
	}
	return out, nil
}
