package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){"storagesrv": main})
}

// TestScripts runs the real program as testdata/script says. Besides
// testscript's own commands there are
//
//	serve CONFIG            starts a server; $URL and $ADMIN are its addresses
//	get [METHOD] URL [H...] prints the answer to a request: status, fields, body
//	post URL BODY [H...]    is get for a request with a body
//	sign CALL [FLAG...]     signs a link; $LINK is it without its public_url
//	raw TEXT                sends bytes to $URL and prints what comes back
//	webapp                  starts a web app that says who may play: see webappScript
//	sampleapp [ARG...]      starts scripts/webapp: see sampleappScript
//	terminate               sends SIGTERM, and wants exit status 0
//	wav FILE SECONDS        makes a recording
//	status N PROGRAM ARG... wants the exit status N of a program
//	envsubst FROM TO        copies a file with $VARIABLES expanded
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Values[processKey{}] = new(process)
			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Defer(func() { taken.Close() })
			env.Setenv("TAKEN", taken.Addr().String()) // an address that nobody else can listen at
			return keepFiles(env.WorkDir)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":     serveScript,
			"get":       getScript,
			"post":      postScript,
			"sign":      signScript,
			"raw":       rawScript,
			"webapp":    webappScript,
			"sampleapp": sampleappScript,
			"terminate": terminateScript,
			"wav":       wavScript,
			"status":    statusScript,
			"envsubst":  envsubstScript,
		},
	})
}

// keepFiles keeps the secrets of a script: the files without an extension.
func keepFiles(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || filepath.Ext(path) != "" {
			return err
		}
		text, err := os.ReadFile(path)
		leaks.keep(string(text))
		return err
	})
}

// A process is the server that a script has started.
type process struct {
	command *exec.Cmd
	log     bytes.Buffer // of a process that has ended
	ended   chan error
}

type processKey struct{}

func serveScript(ts *testscript.TestScript, neg bool, args []string) {
	program, err := exec.LookPath("storagesrv")
	ts.Check(err)
	command := exec.Command(program, "serve", "--config", ts.MkAbs(args[0]))
	command.Dir = ts.Getenv("WORK")
	stderr, err := command.StderrPipe()
	ts.Check(err)
	ts.Check(command.Start())
	leaks.hearCommandLine(command.Process)
	p := ts.Value(processKey{}).(*process)
	p.command, p.ended = command, make(chan error, 1)
	ts.Defer(func() { command.Process.Kill() })
	addresses := make(chan [2]string, 2)
	go func() { // ends with the process
		lines := bufio.NewScanner(leaks.hear(stderr))
		for lines.Scan() {
			p.log.Write(append(lines.Bytes(), '\n'))
			var record struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &record) == nil && record.Address != "" {
				addresses <- [2]string{record.Msg, record.Address}
			}
		}
		close(addresses)
		p.ended <- command.Wait()
	}()
	for range 2 {
		address, ok := <-addresses
		if !ok {
			ts.Fatalf("the server ended: %s", &p.log)
		}
		if address[0] == "serving" {
			ts.Setenv("ADDRESS", address[1])
			ts.Setenv("URL", "http://"+address[1])
		} else {
			ts.Setenv("ADMIN", "http://"+address[1])
		}
	}
}

func terminateScript(ts *testscript.TestScript, neg bool, args []string) {
	p := ts.Value(processKey{}).(*process)
	ts.Check(p.command.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-p.ended:
		if err != nil {
			ts.Fatalf("exit status: %v\n%s", err, &p.log)
		}
	case <-time.After(time.Minute):
		ts.Fatalf("SIGTERM did not end it")
	}
	fmt.Fprint(ts.Stdout(), p.log.String())
}

func statusScript(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	leaks.hearText("standard error of commands", ts.ReadFile("stderr"))
	code := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit status %d, want %s", code, args[0])
	}
}

func envsubstScript(ts *testscript.TestScript, neg bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o644))
}

func getScript(ts *testscript.TestScript, neg bool, args []string) {
	method := "GET"
	if !strings.Contains(args[0], ":") {
		method, args = args[0], args[1:]
	}
	requestScript(ts, method, args[0], "", args[1:])
}

func postScript(ts *testscript.TestScript, neg bool, args []string) {
	requestScript(ts, "POST", args[0], args[1], args[2:])
}

func signScript(ts *testscript.TestScript, neg bool, args []string) {
	program, err := exec.LookPath("storagesrv")
	ts.Check(err)
	command := exec.Command(program, append([]string{"sign"}, args...)...)
	command.Dir = ts.Getenv("WORK")
	link, err := command.CombinedOutput()
	if err != nil {
		ts.Fatalf("%v: %s", err, link)
	}
	_, path, _ := strings.Cut(strings.TrimSpace(string(link)), "/calls/")
	ts.Setenv("LINK", "/calls/"+path)
}

// requestScript prints the answer to a request, with fields of its header.
func requestScript(ts *testscript.TestScript, method, url, content string, fields []string) {
	request, err := http.NewRequest(method, url, strings.NewReader(content))
	ts.Check(err)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		request.Header.Set(name, value)
	}
	leaks.keepHeader(request.Header)
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	ts.Check(err)
	leaks.keepHeader(response.Header)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%s\n", response.Status)
	response.Header.Write(ts.Stdout())
	if response.StatusCode >= 400 || strings.HasSuffix(url, "/metrics") || strings.HasSuffix(url, "/readyz") {
		leaks.hearText("answers", string(body))
	}
	fmt.Fprintf(ts.Stdout(), "\n%d bytes\n", len(body))
	if kind := response.Header.Get("Content-Type"); strings.Contains(kind, "json") || strings.HasPrefix(kind, "text/plain") {
		fmt.Fprintf(ts.Stdout(), "%s\n", body)
	}
}

func rawScript(ts *testscript.TestScript, neg bool, args []string) {
	conn, err := net.Dial("tcp", ts.Getenv("ADDRESS"))
	ts.Check(err)
	defer conn.Close()
	ts.Check(conn.SetDeadline(time.Now().Add(time.Minute)))
	text := strings.NewReplacer(`\r`, "\r", `\n`, "\n", "@40K@", strings.Repeat("x", 40_000)).Replace(args[0])
	_, err = io.WriteString(conn, text)
	ts.Check(err)
	answer, err := io.ReadAll(conn)
	fmt.Fprintf(ts.Stdout(), "%s\n%v\n", answer, err)
}

func wavScript(ts *testscript.TestScript, neg bool, args []string) {
	var seconds int
	_, err := fmt.Sscan(args[1], &seconds)
	ts.Check(err)
	file := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(file), 0o755))
	ts.Check(os.WriteFile(file, sawtooth(seconds), 0o644))
	longAgo := time.Date(2013, 10, 12, 16, 38, 56, 0, time.UTC)
	ts.Check(os.Chtimes(file, longAgo, longAgo))
}

// sawtooth is a recording of a buzzing tone: 8 kHz, 8 bit.
func sawtooth(seconds int) []byte {
	return append(wavHeader(seconds), bytes.Repeat([]byte{100, 110, 120, 130, 140, 130, 120, 110}, 1000*seconds)...)
}

// wavHeader is what comes before the samples of a sawtooth.
func wavHeader(seconds int) []byte {
	n := uint32(8000 * seconds)
	return []byte(fmt.Sprintf("RIFF%sWAVEfmt %s%s%s%s%s%s%sdata%s", le(36+n, 4), le(16, 4), le(1, 2), le(1, 2), le(8000, 4), le(8000, 4), le(1, 2), le(8, 2), le(n, 4)))
}

func le(n uint32, size int) string {
	return string([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}[:size])
}
