//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
)

// catalogPrefix is what the recorder calls the root of the recordings.
const catalogPrefix = "/var/recordings"

// startOurs runs storagesrv with its defaults.
func (r *rig) startOurs(address string) (*server, error) {
	return r.serveOurs(false, fmt.Sprintf("sftp: {address: %q, user: %q, key_file: key, host_key: %q, root: %q}",
		address, r.sshd.User(), r.sshd.Fingerprint(), r.root))
}

func (r *rig) serveOurs(secure bool, store string) (*server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	certificate := ""
	if secure {
		certificate = fmt.Sprintf(", tls: {cert_file: %q, key_file: %q}", r.certificate.file, r.certificate.keyFile)
	}
	config := fmt.Sprintf(`http: {listen: %q, admin: ""%s}
metadata: {catalog: calls.json}
storage:
  - prefix: %s
    %s
`, addr, certificate, catalogPrefix, store)
	if err := os.WriteFile(r.file("storagesrv.yaml"), []byte(config), 0o644); err != nil {
		return nil, err
	}
	p, err := startProcess(exec.Command(r.storagesrv, "serve", "--config", r.file("storagesrv.yaml")), r.nextLog("storagesrv"))
	if err != nil {
		return nil, err
	}
	s := &server{processes: []*process{p}}
	s.url = r.urlBelow(s, addr, secure, func(c recording) string { return "/recordings/" + c.id() })
	return s, nil
}
