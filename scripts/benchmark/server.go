//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"
)

// A server is a peer that answers HTTP.
type server struct {
	url       func(recording) string
	tls       *tls.Config // nil: it answers without
	processes []*process  // that which answers comes first
	unmount   func()      // nil: nothing is mounted
}

var starters = map[string]func(r *rig, address string) (*server, error){
	ours:   (*rig).startOurs,
	rclone: (*rig).startRclone,
	sshfs:  (*rig).startSSHFS,
}

// withServer starts a peer, lets it connect and list the directory of set
// without a delay, makes a round trip take that long, and calls use.
func (r *rig) withServer(ctx context.Context, peer, set string, roundTrip time.Duration, use func(*server) error) error {
	r.delay(peer, 0)
	s, err := starters[peer](r, r.address(peer, roundTrip))
	if s != nil {
		defer s.stop()
	}
	if err != nil {
		return err
	}
	if err := s.await(ctx, wholeOf(s, r.warm[set]), 20*time.Millisecond); err != nil {
		return err
	}
	r.delay(peer, roundTrip)
	defer r.delay(peer, 0)
	return use(s)
}

// wholeOf is a request for a recording, of which every byte is compared.
func wholeOf(s *server, c recording) request {
	return request{url: s.url(c), recording: c, check: recording.verify}
}

// newClient returns an ordinary client of s.
func (s *server) newClient() *http.Client { return newClient(clientOptions{tls: s.tls}) }

// await asks again after each pause until the peer answers q well.
func (s *server) await(ctx context.Context, q request, pause time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	client := s.newClient()
	defer client.CloseIdleConnections()
	for {
		_, err := fetch(ctx, client, q)
		if err == nil {
			return nil
		}
		for _, p := range s.processes {
			select {
			case <-p.ended:
				return fmt.Errorf("%s ended: %s", p.cmd.Path, p.lastWords())
			default:
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("it does not serve: %w: %s", err, s.processes[0].lastWords())
		}
	}
}

func (s *server) stop() {
	for _, p := range s.processes {
		p.stop()
	}
	if s.unmount != nil {
		s.unmount()
	}
}

// pid is that of the process that answers.
func (s *server) pid() int { return s.processes[0].pid() }

// freeAddr returns a host:port of loopback where nothing listens.
func freeAddr() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
