//go:build linux

package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// An nginxSite is what nginx serves.
type nginxSite struct {
	root   string // files below it
	cache  bool   // keep them open
	app    string // the host:port of an app that says which file a call is; "" = none
	secure bool   // HTTPS
}

// startNginx adds nginx to s. It comes first: it is ended before what it needs.
func (r *rig) startNginx(s *server, site nginxSite) error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	prefix := r.file("nginx")
	if err := os.MkdirAll(prefix, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(prefix, "nginx.conf"), []byte(r.nginxConfig(addr, site)), 0o644); err != nil {
		return err
	}
	p, err := startProcess(exec.Command("/usr/sbin/nginx", "-p", prefix, "-c", "nginx.conf", "-e", "stderr"), r.nextLog("nginx"))
	if err != nil {
		return err
	}
	s.processes = append([]*process{p}, s.processes...)
	s.url = r.urlBelow(s, addr, site.secure, func(c recording) string { return "/" + c.path })
	if site.app != "" {
		s.url = r.urlBelow(s, addr, site.secure, func(c recording) string { return "/recordings/" + c.id() })
	}
	return nil
}

// nginxConfig leaves tcp_nopush off: over loopback it holds an answer of 64 KiB
// back for 44 ms.
func (r *rig) nginxConfig(addr string, site nginxSite) string {
	user, secure, cache, upstream, listen := "", "", "", "", addr
	if os.Getuid() == 0 {
		user = "user root;" // another user's worker would not see a mount of root's
	}
	if site.cache {
		cache = "open_file_cache max=4000 inactive=60s; open_file_cache_valid 30s; open_file_cache_min_uses 1;"
	}
	if site.secure {
		listen += " ssl"
		secure = fmt.Sprintf("ssl_certificate %s; ssl_certificate_key %s; ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites %s;",
			r.certificate.file, r.certificate.keyFile, tls.CipherSuiteName(cipher))
	}
	places := fmt.Sprintf("root %s;", site.root)
	if site.app != "" {
		upstream = fmt.Sprintf("upstream app { server %s; keepalive 64; }", site.app)
		places = fmt.Sprintf(`location /recordings/ { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }
		location %s/ { internal; alias %s/; }`, internalPrefix, site.root)
	}
	return fmt.Sprintf(`%s
daemon off;
worker_processes auto;
pid nginx.pid;
error_log stderr;
events { worker_connections 4096; }
http {
	access_log off;
	sendfile on;
	tcp_nopush off;
	keepalive_requests 1000000;
	types { audio/wav wav; }
	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
	%s
	%s
	server {
		listen %s;
		%s
		%s
	}
}
`, user, cache, upstream, listen, secure, places)
}
