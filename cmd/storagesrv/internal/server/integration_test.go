//go:build integration

package server_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/sftp"
	"storagesrv/storage/sftp/sftptest"
)

// overOpenSSH serves the directory by a real sshd.
func overOpenSSH(t testing.TB, dir string) (storage.Store, string) {
	store, _ := startOpenSSH(t, sftptest.OpenSSHConfig{}, dir, patient)
	return store, "sftp"
}

func startOpenSSH(t testing.TB, config sftptest.OpenSSHConfig, dir string, timeout time.Duration) (*sftp.Store, *sftptest.OpenSSH) {
	t.Helper()
	sshd, err := sftptest.StartOpenSSH(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sshd.Close() })
	knownHosts := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(knownHosts, sshd.KnownHosts(), 0o600); err != nil {
		t.Fatal(err)
	}
	return newSFTP(t, sftp.Config{Address: sshd.Addr(), User: sshd.User(), PrivateKey: sshd.ClientKey(), KnownHosts: knownHosts, Root: dir, Timeout: timeout, Resume: -1}), sshd
}

func TestRequestsOverOpenSSH(t *testing.T) { testRequests(t, overOpenSSH, true) }

func TestRandomRangesEqualTheFileOverOpenSSH(t *testing.T) { testRandomRanges(t, overOpenSSH) }

func TestHostilePathsAreRefusedOverOpenSSH(t *testing.T) { testHostilePaths(t, overOpenSSH) }

// TestCorpus serves what real tools made: every legitimate file whole, and not
// one byte of an encrypted one.
func TestCorpus(t *testing.T) {
	corpus := os.Getenv("CORPUS")
	if corpus == "" {
		corpus = t.TempDir()
		if out, err := exec.Command("../../../../scripts/corpus", corpus).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for kind, store := range map[string]makeStore{"mount": mounted, "openssh": overOpenSSH} {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t, rigConfig{store: func(t testing.TB, _ string) (storage.Store, string) { return store(t, corpus) }})
			plain := r.corpusCalls(t, corpus, "plain")
			encrypted := r.corpusCalls(t, corpus, "encrypted")
			if len(plain) < 40 || len(encrypted) < 30 {
				t.Fatalf("%d plain files and %d encrypted ones are too few", len(plain), len(encrypted))
			}
			for id, path := range plain {
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if got := r.get("/recordings/" + id); got.status != 200 || !bytes.Equal(got.body, content) {
					t.Errorf("%s: status %d %.200s", filepath.Base(path), got.status, got.body)
				}
			}
			for id, path := range encrypted {
				for _, ranges := range []string{"", "bytes=0-1", "bytes=5000-", "bytes=-100", "bytes=0-9,100-200"} {
					got := r.do("GET", "/recordings/"+id, header("Range", ranges))
					if got.status != 422 {
						t.Errorf("%s, %s: status %d, %d bytes", filepath.Base(path), ranges, got.status, len(got.body))
					}
				}
			}
			t.Logf("%d plain, %d encrypted", len(plain), len(encrypted))
		})
	}
}

// corpusCalls makes a call of each file below a folder, and returns them by id.
func (r *rig) corpusCalls(t *testing.T, corpus, folder string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(corpus, folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	calls := make(map[string]string)
	for i, path := range files {
		id := fmt.Sprintf("%s-%d", folder, i)
		r.call(id, prefix+"/"+folder+"/"+filepath.Base(path))
		calls[id] = path
	}
	return calls
}

func TestOpenSSHProblems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		timeout  time.Duration
		fault    func(*sftptest.OpenSSH) error
		problems string // any of these; "" means that nothing is noticed
		mend     func(*sftptest.OpenSSH) error
	}{
		{"stopped", 3 * time.Second, (*sftptest.OpenSSH).Stop, "storage-timeout storage-unavailable", (*sftptest.OpenSSH).Cont},
		{"sessions killed", patient, (*sftptest.OpenSSH).KillSessions, "", nil},
		{"restarted", patient, func(s *sftptest.OpenSSH) error { return s.Restart(false) }, "", nil},
		{"another host key", patient, func(s *sftptest.OpenSSH) error { return s.Restart(true) }, "storage-denied", nil},
		{"gone", patient, (*sftptest.OpenSSH).Close, "storage-unavailable", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var sshd *sftptest.OpenSSH
			r := newRig(t, rigConfig{store: func(t testing.TB, dir string) (store storage.Store, kind string) {
				store, sshd = startOpenSSH(t, sftptest.OpenSSHConfig{}, dir, c.timeout)
				return store, "sftp"
			}})
			content := wav(1000)
			r.call("call-1", r.file("20131012/a.wav", content))
			r.awaitPlays("/recordings/call-1", content)
			if err := c.fault(sshd); err != nil {
				t.Fatal(err)
			}
			if c.problems == "" {
				r.wantPlays("/recordings/call-1", content)
				return
			}
			start := time.Now()
			got := r.get("/recordings/call-1")
			if took := time.Since(start); took > 2*c.timeout+slack {
				t.Errorf("took %v", took)
			}
			if name := got.problemName(t); !strings.Contains(c.problems, name) {
				t.Errorf("problem %s, want %s", name, c.problems)
			}
			if c.mend == nil {
				return
			}
			if err := c.mend(sshd); err != nil {
				t.Fatal(err)
			}
			r.awaitPlays("/recordings/call-1", content)
		})
	}
}

func TestAFileOrKeyThatOpenSSHRefusesIsDenied(t *testing.T) {
	var sshd *sftptest.OpenSSH
	r := newRig(t, rigConfig{store: func(t testing.TB, dir string) (store storage.Store, kind string) {
		for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
			if err := os.Chmod(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		store, sshd = startOpenSSH(t, sftptest.OpenSSHConfig{User: "nobody"}, dir, patient)
		return store, "sftp"
	}})
	content := wav(1000)
	r.call("readable", r.file("a.wav", content))
	r.call("secret", r.file("b.wav", content))
	if err := os.Chmod(filepath.Join(r.dir, "b.wav"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.wantPlays("/recordings/readable", content)
	r.wantProblem("/recordings/secret", "storage-denied", 502, patient)
	r.wantPlays("/recordings/readable", content)

	other, err := sftptest.StartOpenSSH(sftptest.OpenSSHConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	r2 := newRig(t, rigConfig{store: func(t testing.TB, dir string) (storage.Store, string) {
		return newSFTP(t, sftp.Config{Address: sshd.Addr(), User: sshd.User(), PrivateKey: other.ClientKey(), HostKey: sshd.Fingerprint(), Root: dir}), "sftp"
	}})
	r2.call("readable", r2.file("a.wav", content))
	r2.wantProblem("/recordings/readable", "storage-denied", 502, patient)
}
