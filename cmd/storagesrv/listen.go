package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"storagesrv/cmd/storagesrv/internal/config"
	"storagesrv/cmd/storagesrv/internal/server"
)

const (
	headerTimeout = 10 * time.Second // for a request's header to arrive
	idleTimeout   = 2 * time.Minute  // between requests of a connection
	adminTimeout  = time.Minute      // for an operator to take an answer
	pingTimeout   = 15 * time.Second // for an HTTP/2 client to show that it is there
	maxHeader     = 32 << 10         // bytes of a header section; beyond it 431

	// headerSlop is what net/http reads beyond Server.MaxHeaderBytes.
	headerSlop = 4 << 10
	// cutTimeout is how long cutting connections may take: closing one whose
	// data is stuck in a dead mount does not return.
	cutTimeout = 2 * time.Second
)

// serve answers requests on both listeners until ctx ends or a listener fails.
// Then it lets running streams finish within the drain timeout.
func (s *service) serve(ctx context.Context, c config.HTTP) error {
	public, err := s.listen(ctx, c.Listen, c.TLS)
	if err != nil {
		return err
	}
	defer public.Close()
	var admin net.Listener
	if c.Admin != "" {
		if admin, err = net.Listen("tcp", c.Admin); err != nil {
			return err
		}
		defer admin.Close()
	}
	return s.serveOn(ctx, public, admin, s.server, c)
}

// listen returns a listener for clients, with TLS if c names a certificate.
func (s *service) listen(ctx context.Context, address string, c config.TLS) (net.Listener, error) {
	var certificates *tls.Config
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, &usageError{fmt.Errorf("http.tls: %w", err)}
		}
		certificates = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	}
	listener, err := server.Listen(ctx, address)
	if err != nil || certificates == nil {
		return listener, err
	}
	return tls.NewListener(listener, certificates), nil
}

// serveOn is serve on listeners that there are; public is what clients reach:
// the server, or what stands before it.
func (s *service) serveOn(ctx context.Context, listener, admin net.Listener, public http.Handler, c config.HTTP) error {
	stall, drain := time.Duration(c.StallTimeout), time.Duration(c.DrainTimeout)
	errorLog := slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)
	newServer := func(handler http.Handler) *http.Server {
		return &http.Server{
			Handler:                      handler,
			ReadHeaderTimeout:            headerTimeout,
			IdleTimeout:                  idleTimeout,
			MaxHeaderBytes:               maxHeader - headerSlop,
			ErrorLog:                     errorLog,
			ConnContext:                  server.ConnContext,
			DisableGeneralOptionsHandler: true,
			// Deadlines of streams do not end a connection that takes nothing.
			HTTP2: &http.HTTP2Config{WriteByteTimeout: stall, SendPingTimeout: stall, PingTimeout: pingTimeout},
		}
	}
	clients, operators := newServer(public), newServer(s.server.Admin())
	operators.WriteTimeout = adminTimeout
	failed := make(chan error, 2) // both goroutines end when their server closes
	go func() { failed <- clients.Serve(&loudListener{Listener: listener, log: s.log}) }()
	s.log.Info("serving", "address", listener.Addr().String())
	if admin != nil {
		go func() { failed <- operators.Serve(&loudListener{Listener: admin, log: s.log}) }()
		s.log.Info("serving health and metrics", "address", admin.Addr().String())
	}
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		s.log.Info("ending: no new requests, running streams may finish", "within", drain.String())
	}
	s.server.Drain()
	s.drain(clients, drain)
	operators.Close()
	return err
}

// drain lets running streams finish, and cuts what is left after the timeout, or
// when that is only what hangs in a dead mount.
func (s *service) drain(clients *http.Server, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- clients.Shutdown(ctx) }() // ends with ctx
	select {
	case err := <-ended:
		if !errors.Is(err, context.DeadlineExceeded) {
			s.log.Info("ended", "cut", 0)
			return
		}
	case <-s.server.OnlyHanging():
	}
	cut := s.server.Streams()
	closed := make(chan struct{})
	go func() { // ends with the process, at the latest
		clients.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(cutTimeout):
	}
	s.log.Info("ended", "cut", cut)
}
