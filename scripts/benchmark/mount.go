//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"
)

// setUpMount makes the recordings that are in a directory of this machine.
func (r *rig) setUpMount() (err error) {
	if r.certificate, err = newCertificate(r.dir); err != nil {
		return err
	}
	return r.makeRecordings(r.addMount)
}

// mountStarters start a peer on the directory of the recordings.
var mountStarters = map[string]func(r *rig, secure bool) (*server, error){
	ours: func(r *rig, secure bool) (*server, error) {
		return r.serveOurs(secure, fmt.Sprintf("mount: {root: %q}", r.root))
	},
	nginx: func(r *rig, secure bool) (*server, error) {
		s := &server{}
		return s, r.startNginx(s, nginxSite{root: r.root, secure: secure})
	},
	cached: func(r *rig, secure bool) (*server, error) {
		s := &server{}
		return s, r.startNginx(s, nginxSite{root: r.root, secure: secure, cache: true})
	},
	xaccel: (*rig).startXAccel,
	caddy:  (*rig).startCaddy,
	rclone: func(r *rig, secure bool) (*server, error) { return r.serveRclone(secure, r.root) },
}

// withMount starts a peer, which by then has once given every byte of a stream,
// waits until it serves set, and calls use.
func (r *rig) withMount(ctx context.Context, peer, set string, secure bool, use func(*server) error) error {
	if err := r.verifyMountOnce(ctx, peer, secure); err != nil {
		return err
	}
	return r.onMount(ctx, peer, set, secure, use)
}

func (r *rig) onMount(ctx context.Context, peer, set string, secure bool, use func(*server) error) error {
	s, err := mountStarters[peer](r, secure)
	if s != nil {
		defer s.stop()
	}
	if err != nil {
		return err
	}
	if err := s.await(ctx, wholeOf(s, r.warm[set]), 20*time.Millisecond); err != nil {
		return err
	}
	return use(s)
}

// verifyMountOnce compares every byte of the largest recording, and of a range
// of each that ranges are measured of, once for each peer.
func (r *rig) verifyMountOnce(ctx context.Context, peer string, secure bool) error {
	key := fmt.Sprintf("%s %s", peer, scheme(secure))
	err, done := r.verified[key]
	if done {
		return err
	}
	err = r.onMount(ctx, peer, "mount-stream", secure, func(s *server) error {
		client := s.newClient()
		defer client.CloseIdleConnections()
		if _, err := fetch(ctx, client, wholeOf(s, r.sets["mount-stream"][0])); err != nil {
			return err
		}
		for i, c := range r.sets["mount-ranges"] {
			q := wholeOf(s, c)
			q.from = int64(i) * 4000 // odd places: no multiples of a page
			q.to = q.from + rangeSize
			if _, err := fetch(ctx, client, q); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("not measured: it does not give the right bytes: %w", err)
	}
	if ctx.Err() == nil {
		r.verified[key] = err
	}
	return err
}

// urlBelow makes addr, and HTTPS if it is secure, that of s.
func (r *rig) urlBelow(s *server, addr string, secure bool, path func(recording) string) func(recording) string {
	if secure {
		s.tls = r.certificate.client
	}
	base := scheme(secure) + "://" + addr
	return func(c recording) string { return base + path(c) }
}

func scheme(secure bool) string {
	if secure {
		return "https"
	}
	return "http"
}

// startXAccel runs an app that knows the calls, and nginx in front of it.
func (r *rig) startXAccel(secure bool) (*server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	app, err := startProcess(exec.Command(self, "resolve", "--listen", addr, "--catalog", r.file("calls.json")), r.nextLog("resolve"))
	if err != nil {
		return nil, err
	}
	s := &server{processes: []*process{app}}
	return s, r.startNginx(s, nginxSite{root: r.root, secure: secure, app: addr})
}

// startCaddy runs Caddy's file server, without its admin endpoint, and without
// a certificate that it would make by itself.
func (r *rig) startCaddy(secure bool) (*server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	certificate := ""
	if secure {
		certificate = fmt.Sprintf("tls %s %s", r.certificate.file, r.certificate.keyFile)
	}
	config := fmt.Sprintf(`{
	admin off
	auto_https off
	skip_install_trust
	servers {
		protocols h1
	}
}
%s://%s:%s {
	bind %s
	%s
	root * %s
	file_server
}
`, scheme(secure), host, port, host, certificate, r.root)
	if err := os.WriteFile(r.file("Caddyfile"), []byte(config), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command("caddy", "run", "--adapter", "caddyfile", "--config", r.file("Caddyfile"))
	cmd.Env = append(os.Environ(), "HOME="+r.dir, "XDG_DATA_HOME="+r.dir, "XDG_CONFIG_HOME="+r.dir)
	p, err := startProcess(cmd, r.nextLog("caddy"))
	if err != nil {
		return nil, err
	}
	s := &server{processes: []*process{p}}
	s.url = r.urlBelow(s, addr, secure, func(c recording) string { return "/" + c.path })
	return s, nil
}
