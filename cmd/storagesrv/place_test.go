package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWhatCannotWorkHasAPlace starts with files that are not there, or hold
// something else.
func TestWhatCannotWorkHasAPlace(t *testing.T) {
	const url, storage = "metadata: {url: 'http://127.0.0.1:1'}\n", "storage: [{prefix: /r, mount: {root: /r}}]\n"
	sftp := func(more string) string {
		return url + "storage:\n  - prefix: /r\n    sftp:\n      address: 127.0.0.1:1\n      user: playback\n" + more
	}
	for name, c := range map[string]struct{ config, want string }{
		"catalog":         {"metadata:\n  catalog: missing\n" + storage, ":2:12: metadata.catalog: read catalog: open "},
		"line of catalog": {"metadata:\n  catalog: bad\n" + storage, ":2:12: metadata.catalog: $DIR/bad:1: "},
		"password_file":   {"metadata:\n  url: 'http://127.0.0.1:1'\n  username: playback\n  password_file: missing\n" + storage, ":4:18: metadata.password_file: "},
		"ca_file":         {"metadata:\n  url: 'http://127.0.0.1:1'\n  ca_file: bad\n" + storage, ":3:12: metadata.ca_file: no certificate in "},
		"key_file":        {sftp("      key_file: missing\n      known_hosts: bad\n"), ":7:17: storage[0].sftp.key_file: "},
		"bad key_file":    {sftp("      key_file: bad\n      known_hosts: bad\n"), ":7:17: storage[0].sftp.key_file: "},
		"sftp password":   {sftp("      password_file: missing\n      known_hosts: bad\n"), ":7:22: storage[0].sftp.password_file: "},
		"known_hosts":     {sftp("      password_file: bad\n      known_hosts: missing\n"), ":8:20: storage[0].sftp.known_hosts: "},
		"secret_file":     {url + storage + "access:\n  signing_keys:\n    - {id: one, secret_file: missing}\n", ":5:30: access.signing_keys[0].secret_file: "},
		"jwks_file":       {url + storage + "access:\n  jwt: {issuer: a, audience: b, jwks_file: missing}\n", ":4:44: access.jwt.jwks_file: "},
		"forward.ca_file": {url + storage + "access:\n  forward: {url: 'https://127.0.0.1:1', ca_file: missing}\n", ":4:50: access.forward.ca_file: "},
		"required audit":  {url + storage + "audit:\n  required: true\n  file: missing/audit\n", ":5:9: audit.file: "},
		"certificate":     {url + storage + "http:\n  listen: 127.0.0.1:0\n  tls: {cert_file: missing, key_file: missing}\n", ":5:8: http.tls: "},
		"spool.dir":       {url + storage + "playback: {encrypted: proxy, spool: {dir: missing}}\n", ":3:43: playback.spool.dir: "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "x.yaml")
			for name, text := range map[string]string{file: c.config, filepath.Join(dir, "bad"): "hunter2"} {
				if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			err := run(ctx, []string{"serve", "--config", file}, io.Discard, io.Discard)
			if err == nil || !strings.HasPrefix(err.Error(), file+strings.ReplaceAll(c.want, "$DIR", dir)) || exitCode(err) != 2 {
				t.Errorf("got  %v, exit code %d\nwant %s", err, exitCode(err), c.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Error("it quotes a secret")
			}
		})
	}
}
