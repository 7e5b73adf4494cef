package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// inline is a configuration with secrets where they do not belong: somebody has
// written them in place of a name, of a hash, or beside what is right.
const inline = `# the password is hunter2
http:
  listen: "127.0.0.1:0" # hunter2
  admin: ""
metadata:
  url: "http://playback:hunter2@127.0.0.1:1"
  username: playback
  password: "hunter2"
storage:
  - prefix: /r
    mount: {root: /mnt, marker: hunter2}
  - prefix: /s
    sftp: {address: "127.0.0.1:22", user: playback, password: hunter2, host_key: "hunter2"}
access:
  tokens: [{name: crm, sha256: "hunter2"}, {name: cms, token: hunter2}]
  signing_keys:
    - {id: one, secret: hunter2}
    - hunter2
  forward: {url: "http://u:hunter2@crm/may-play?token=hunter2", headers: [Cookie, "hunter2"]}
  jwt: {issuer: "https://id", audience: a, jwks_url: "https://id/?hunter2"}
  max_expires: hunter2
`

// TestNoFaultOfAConfigurationTellsASecret loads parts of a faulty configuration,
// with further faults in each line. It is told what key is wrong: nothing helps
// who writes a secret as the name of one.
func TestNoFaultOfAConfigurationTellsASecret(t *testing.T) {
	heard := new(confidence)
	heard.keep("hunter2")
	file := filepath.Join(t.TempDir(), "storagesrv.yaml")
	lines := strings.Split(strings.TrimSuffix(inline, "\n"), "\n")
	faults := 0
	load := func(lines ...string) {
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		err := run(t.Context(), []string{"sign", "--config", file, "call-1"}, io.Discard, voice{heard, "standard error"})
		if err == nil {
			t.Fatalf("no fault in\n%s", strings.Join(lines, "\n"))
		}
		heard.hearText(strings.Join(lines, "\n"), err.Error())
		faults++
	}
	for i, line := range lines {
		before, after := lines[:i:i], lines[i+1:]
		load(append(before, after...)...)
		load(append(before, line)...)
		for _, with := range []string{
			"\t" + line, "   " + line, line + ": hunter2", line + ` "hunter2`, line + " [hunter2", strings.ReplaceAll(line, `"`, ""),
			strings.ReplaceAll(line, "hunter2", "*hunter2"), strings.ReplaceAll(line, "hunter2", "!hunter2 x"), strings.ReplaceAll(line, "hunter2", "&hunter2"),
			strings.ReplaceAll(line, "hunter2", "%hunter2"), strings.ReplaceAll(line, "hunter2", "@hunter2"), strings.ReplaceAll(line, ": ", ":\n    - hunter2 "),
		} {
			load(append(append(before, with), after...)...)
			load(append(before, with)...)
			load(with)
		}
	}
	for _, told := range heard.told() {
		t.Error(told)
	}
	if faults < 38*len(lines) {
		t.Errorf("%d faults", faults)
	}
}
