package main

import (
	"fmt"
	"net/url"

	"storagesrv/cmd/storagesrv/internal/config"
	"storagesrv/cmd/storagesrv/internal/server"
	"storagesrv/cmd/storagesrv/internal/spool"
)

// fallback is what is done about recordings that the storage cannot play.
func (s *service) fallback(c *config.Config) (server.Fallback, error) {
	p := &c.Playback
	f := server.Fallback{Encrypted: server.Way(p.Encrypted), Missing: server.Way(p.Missing)}
	if p.Uses(config.Redirect) || p.Uses(config.Proxy) {
		f.Recorder = s.recorder
	}
	if p.Uses(config.Redirect) {
		recorder, err := url.Parse(c.Metadata.URL)
		if err != nil {
			return f, fmt.Errorf("metadata.url: not a URL")
		}
		// Its API may be at a port of its own, and its pages at the usual ones.
		f.Hosts = append([]string{recorder.Host, recorder.Hostname()}, p.RedirectHosts...)
	}
	if p.Uses(config.Proxy) {
		copies, err := spool.New(spool.Config{Dir: p.Spool.Dir, Size: int64(p.Spool.Size)})
		if err != nil {
			return f, fmt.Errorf("playback.spool.dir: %w", err)
		}
		f.Spool = copies
		s.closers = append(s.closers, copies.Close)
	}
	return f, nil
}
