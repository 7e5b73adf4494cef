//go:build integration && linux

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// A traced is what strace saw of a recording: how many bytes the kernel has sent
// of it by itself, and how many were read.
type traced struct{ sent, read int }

// trace starts the program over a root, lets it be asked, and returns what was
// seen of the recording.
func trace(t *testing.T, root string, ask func(p *program, url string)) traced {
	t.Helper()
	logs := filepath.Join(t.TempDir(), "trace")
	// The program stays ours to signal, and its log ends when strace has.
	p := startProgram(t, root, "strace", "-D", "-ff", "-y",
		"-e", "trace=sendfile,read,pread64,readv,preadv,preadv2,splice,copy_file_range,mmap", "-o", logs)
	ask(p, "http://"+p.address+"/recordings/call-1")
	p.terminate()
	p.ends()
	return sum(t, logs, filepath.Join(root, "a.wav"))
}

// sum adds up what strace has logged of a file, for each thread.
func sum(t *testing.T, logs, path string) (seen traced) {
	t.Helper()
	files, err := filepath.Glob(logs + ".*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no trace: %v", err)
	}
	call := regexp.MustCompile(`(?m)^(\w+)\(.*<` + regexp.QuoteMeta(path) + `>.* = (\w+)`)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range call.FindAllStringSubmatch(string(text), -1) {
			n, err := strconv.Atoi(found[2])
			if err != nil {
				t.Fatal(found[0])
			}
			if found[1] == "sendfile" {
				seen.sent += n
			} else {
				seen.read += n
			}
		}
	}
	return seen
}

const (
	// proved is how much of a recording may be read: 32 KiB that prove it to be
	// media, and the last 4, which wait until it is known not to have changed.
	proved = 36 << 10
	// pieces is in how many of them a recording may be sent from a mount: the last
	// byte of each is waited for.
	pieces = 20
)

func TestTheKernelSendsRecordings(t *testing.T) {
	content := sawtooth(1000)
	dir := t.TempDir()
	recordIn(t, dir, content)
	for name, root := range map[string]string{"of a disk": dir, "of a mount": startFaulty(t, true, content).Root()} {
		t.Run(name, func(t *testing.T) {
			seen := trace(t, root, func(p *program, url string) {
				response, body := p.ask("GET", url)
				if response.StatusCode != 200 || body != string(content) {
					t.Errorf("%s, %d bytes", response.Status, len(body))
				}
				// Of what is known these need no byte.
				for range 3 {
					if response, body := p.ask("HEAD", url); response.StatusCode != 200 || body != "" {
						t.Errorf("HEAD: %s", response.Status)
					}
					if response, body := p.ask("GET", url, "If-None-Match", response.Header.Get("ETag")); response.StatusCode != 304 || body != "" {
						t.Errorf("If-None-Match: %s", response.Status)
					}
				}
			})
			if seen.read == 0 || seen.read > proved+pieces || seen.sent < len(content)-proved {
				t.Errorf("of %d bytes, the kernel sent %d by itself, and %d were read", len(content), seen.sent, seen.read)
			}
			t.Logf("%+v", seen)
		})
	}
}
