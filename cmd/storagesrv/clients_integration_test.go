//go:build integration

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"storagesrv/cmd/storagesrv/internal/demo"
)

func TestClientsGetWhatIsOnTheStorage(t *testing.T) {
	d := startDemo(t)
	for _, call := range demo.Calls {
		t.Run(call.ID, func(t *testing.T) {
			url := d.url + "/recordings/" + call.ID
			if call.Problem == "" {
				newClients(call, call.Files[0], url).check(t)
				return
			}
			checkCurlFails(t, url, call.Status)
			if len(call.Files) < 2 {
				return
			}
			for _, file := range call.Files {
				c := newClients(call, file, url+"?file_id="+file.ID)
				c.name = call.ID + "-" + file.ID
				c.checkCurlResumes(t)
				c.checkWgetNames(t)
			}
		})
	}
}

// clients fetch one recording.
type clients struct {
	url     string
	name    string // what it is to be saved as, without an extension
	ext     string // of that
	mime    string // Content-Type
	content []byte
	long    bool // tens of megabytes, an hour
}

func newClients(call demo.Call, file demo.File, url string) clients {
	ext := filepath.Ext(file.Path)
	mime := map[string]string{".mp3": "audio/mpeg", ".wav": "audio/wav", ".mp4": "video/mp4"}[ext]
	return clients{url, call.ID, ext, mime, file.Recording(), call.Minutes() != nil}
}

func (c clients) check(t *testing.T) {
	t.Run("curl", c.checkCurl)
	t.Run("curl resumes", c.checkCurlResumes)
	t.Run("curl revalidates", c.checkCurlRevalidates)
	t.Run("wget resumes", c.checkWgetResumes)
	t.Run("wget names", c.checkWgetNames)
	t.Run("aria2c", c.checkAria2)
	t.Run("ffmpeg", c.checkFFmpeg)
	t.Run("ffprobe", c.checkFFprobe)
}

// clientTimeout is what one run of a program may take, under the race detector
// on a busy machine.
const clientTimeout = time.Minute

// A ranClient is a program that has ended.
type ranClient struct {
	command        string
	stdout, stderr bytes.Buffer
	exit           int
}

// runClient runs a program in dir. Settings and proxies of whoever runs the
// test do not reach it.
func runClient(t *testing.T, dir, name string, args ...string) *ranClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	ran := &ranClient{command: command.String()}
	command.Dir, command.Stdout, command.Stderr = dir, &ran.stdout, &ran.stderr
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C"}
	err := command.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s did not end within %v and printed\n%s", ran.command, clientTimeout, &ran.stderr)
	}
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err) // it is not installed
	}
	ran.exit = command.ProcessState.ExitCode()
	return ran
}

// wants checks how a program ended and what it printed.
func (r *ranClient) wants(t *testing.T, exit int, stdout string) {
	t.Helper()
	if r.exit != exit || r.stdout.String() != stdout {
		t.Errorf("%s\nprinted %.200q and ended with %d, want %q and %d\n%s", r.command, &r.stdout, r.exit, stdout, exit, &r.stderr)
	}
}

// wantFile checks that a file has these bytes and no others.
func wantFile(t *testing.T, name string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %v, %d bytes that are not the %d of the recording", filepath.Base(name), err, len(got), len(want))
	}
}

func wantNoFile(t *testing.T, name string) {
	t.Helper()
	if info, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s: %v, %v, want none", filepath.Base(name), info, err)
	}
}

// saved writes bytes to a new file.
func saved(t *testing.T, dir, name string, content []byte) string {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// answered makes curl print what it was answered.
const answered = `%{http_code} %{content_type} %{size_download} %header{content-range}`

// curl expects the answer to have n bytes; contentRange is "" if it is whole.
func (c clients) curl(t *testing.T, dir string, status, n int, contentRange string, args ...string) {
	t.Helper()
	want := fmt.Sprintf("%d %s %d %s", status, c.mime, n, contentRange)
	runClient(t, dir, "curl", append(args, "-sS", "--fail", "-w", answered, c.url)...).wants(t, 0, want)
}

func checkCurlFails(t *testing.T, url string, status int) {
	dir := t.TempDir()
	runClient(t, dir, "curl", "-sS", "--fail", "-o", "out", "-w", "%{http_code}", url).wants(t, 22, strconv.Itoa(status))
	wantNoFile(t, filepath.Join(dir, "out"))
}

func (c clients) checkCurl(t *testing.T) {
	dir, size := t.TempDir(), len(c.content)
	c.curl(t, dir, http.StatusOK, size, "", "-o", "whole")
	wantFile(t, filepath.Join(dir, "whole"), c.content)

	from := rand.N(size)
	to := from + rand.N(size-from)
	c.curl(t, dir, http.StatusPartialContent, to-from+1, fmt.Sprintf("bytes %d-%d/%d", from, to, size),
		"-o", "part", "-r", fmt.Sprintf("%d-%d", from, to))
	wantFile(t, filepath.Join(dir, "part"), c.content[from:to+1])

	last := min(1000, size)
	c.curl(t, dir, http.StatusPartialContent, last, fmt.Sprintf("bytes %d-%d/%d", size-last, size-1, size),
		"-o", "tail", "-r", fmt.Sprint(-last))
	wantFile(t, filepath.Join(dir, "tail"), c.content[size-last:])
}

func (c clients) checkCurlResumes(t *testing.T) {
	dir, size := t.TempDir(), len(c.content)
	cut := 1 + rand.N(size-1)
	file := saved(t, dir, "out", c.content[:cut])
	c.curl(t, dir, http.StatusPartialContent, size-cut, fmt.Sprintf("bytes %d-%d/%d", cut, size-1, size), "-o", "out", "-C", "-")
	wantFile(t, file, c.content)

	const nothingMore = "%{http_code} %header{content-range}"
	want := fmt.Sprintf("416 bytes */%d", size)
	runClient(t, dir, "curl", "-sS", "-o", "out", "-C", "-", "-w", nothingMore, c.url).wants(t, 0, want)
	wantFile(t, file, c.content)
	runClient(t, dir, "curl", "-sS", "--fail", "-o", "out", "-C", "-", "-w", nothingMore, c.url).wants(t, 22, want)
	wantFile(t, file, c.content)
}

func (c clients) checkCurlRevalidates(t *testing.T) {
	dir := t.TempDir()
	c.curl(t, dir, http.StatusOK, len(c.content), "", "-o", "out", "--etag-save", "etag")
	again := []string{"-sS", "--fail", "-o", "again", "--etag-compare", "etag", "-w", "%{http_code} %{size_download}", c.url}
	runClient(t, dir, "curl", again...).wants(t, 0, "304 0")
	wantNoFile(t, filepath.Join(dir, "again"))

	saved(t, dir, "etag", []byte("\"another\"\n"))
	runClient(t, dir, "curl", again...).wants(t, 0, fmt.Sprintf("200 %d", len(c.content)))
	wantFile(t, filepath.Join(dir, "again"), c.content)
}

// checkWgetResumes is with a Range and no If-Range.
func (c clients) checkWgetResumes(t *testing.T) {
	dir, size := t.TempDir(), len(c.content)
	cut := 1 + rand.N(size-1)
	file := saved(t, dir, c.name, c.content[:cut])
	ran := runClient(t, dir, "wget", "--continue", "--debug", "--tries=1", c.url)
	ran.wants(t, 0, "")
	wantFile(t, file, c.content)
	for _, want := range []string{
		fmt.Sprintf("\nRange: bytes=%d-\r\n", cut),
		"\nHTTP/1.1 206 Partial Content\r\n",
		fmt.Sprintf("\nContent-Range: bytes %d-%d/%d\r\n", cut, size-1, size),
	} {
		if !strings.Contains(ran.stderr.String(), want) {
			t.Errorf("cut at %d: no %q in\n%s", cut, want, &ran.stderr)
		}
	}
	ran = runClient(t, dir, "wget", "--continue", "--tries=1", c.url)
	ran.wants(t, 0, "")
	if !strings.Contains(ran.stderr.String(), "already fully retrieved") {
		t.Errorf("%s\n%s", ran.command, &ran.stderr)
	}
	wantFile(t, file, c.content)
}

func (c clients) checkWgetNames(t *testing.T) {
	dir := t.TempDir()
	runClient(t, dir, "wget", "--content-disposition", "--no-verbose", "--tries=1", c.url).wants(t, 0, "")
	wantFile(t, filepath.Join(dir, c.name+c.ext), c.content)
}

// checkAria2 is with 8 ranges at a time if the recording is long. The first is
// asked for as the whole, and is left when the next one begins.
func (c clients) checkAria2(t *testing.T) {
	dir := t.TempDir()
	ran := runClient(t, dir, "aria2c", "-x8", "-s8", "-k1M", "--max-tries=1", "--file-allocation=none",
		"--quiet", "--log=log", "--log-level=info", "-o", "out", c.url)
	ran.wants(t, 0, "")
	wantFile(t, filepath.Join(dir, "out"), c.content)
	log, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	connections := make(map[string]bool)
	for _, requesting := range regexp.MustCompile(`CUID#\d+ - Requesting:`).FindAll(log, -1) {
		connections[string(requesting)] = true
	}
	if n := len(connections); n < 8 == c.long {
		t.Errorf("%d connections", n)
	}
	count := func(text string) int { return bytes.Count(log, []byte(text)) }
	whole, ranges := count("\nHTTP/1.1 200 OK"), count("\nHTTP/1.1 206 Partial Content")
	if answers := count("Response received:"); whole != 1 || ranges != answers-1 {
		t.Errorf("%d answers, of which %d are whole and %d partial", answers, whole, ranges)
	}
}

// checkFFmpeg decodes a second from the middle.
func (c clients) checkFFmpeg(t *testing.T) {
	second := 3
	if c.long {
		second = 1800
	}
	local, served := c.decode(t, second, "-f", "s16le")
	if n := local.stdout.Len(); n != 2*8000 {
		t.Errorf("%s: %d bytes of samples\n%s", local.command, n, &local.stderr)
	}
	if strings.HasPrefix(c.mime, "video/") {
		if local, _ := c.decode(t, second, "-f", "rawvideo", "-an"); local.stdout.Len() == 0 {
			t.Errorf("%s: no frames\n%s", local.command, &local.stderr)
		}
	}
	if c.long {
		// The header is less than 100 bytes, and then there are 8000 each second.
		const middle = `header='Content-Range: bytes 144000\d\d-28800055/28800056'`
		if n := len(regexp.MustCompile(middle).FindAll(served.stderr.Bytes(), -1)); n != 1 {
			t.Errorf("%d answers from the middle on, want one\n%s", n, &served.stderr)
		}
	}
}

// decode decodes a second of what is served, and makes sure that it is what a
// local file has there.
func (c clients) decode(t *testing.T, second int, output ...string) (local, served *ranClient) {
	t.Helper()
	dir := t.TempDir()
	run := func(input string) *ranClient {
		args := []string{"-nostdin", "-hide_banner", "-v", "trace", "-ss", strconv.Itoa(second), "-i", input, "-t", "1"}
		return runClient(t, dir, "ffmpeg", append(append(args, output...), "-")...)
	}
	local, served = run(saved(t, dir, "local", c.content)), run(c.url)
	served.wants(t, 0, local.stdout.String())
	return local, served
}

func (c clients) checkFFprobe(t *testing.T) {
	dir := t.TempDir()
	probe := func(input string) *ranClient {
		return runClient(t, dir, "ffprobe", "-v", "error", "-of", "compact", "-show_entries",
			"format=format_name,duration,size,bit_rate:stream=codec_name,sample_rate,channels,width,height,duration", input)
	}
	local := probe(saved(t, dir, "local", c.content))
	if !strings.Contains(local.stdout.String(), fmt.Sprintf("|size=%d|", len(c.content))) {
		t.Errorf("%s: %s%s", local.command, &local.stdout, &local.stderr)
	}
	probe(c.url).wants(t, 0, local.stdout.String())
}
