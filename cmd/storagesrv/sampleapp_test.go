package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// sampleappScript builds scripts/webapp and starts it with the arguments; $APP
// is its address, and $SESSION the cookie of whoever has logged in.
func sampleappScript(ts *testscript.TestScript, neg bool, args []string) {
	binary, err := buildSampleapp(ts.Getenv("WORK"))
	ts.Check(err)
	for left := 5; ; left-- {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		free.Close()
		address := free.Addr().String()
		session, stop, err := startSampleapp(binary, address, args...)
		if err != nil && left > 0 {
			continue // somebody else has taken the port
		}
		ts.Check(err)
		ts.Defer(stop)
		ts.Setenv("APP", "http://"+address)
		ts.Setenv("SESSION", session.String())
		return
	}
}

// buildSampleapp builds scripts/webapp into a directory.
func buildSampleapp(dir string) (binary string, err error) {
	binary = filepath.Join(dir, "webapp")
	if out, err := exec.Command("go", "build", "-o", binary, "storagesrv/scripts/webapp").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return binary, nil
}

// startSampleapp starts the app where its binary is, and returns the cookie of
// whoever logs in. The error is one of starting, such as a port that is taken.
func startSampleapp(binary, address string, args ...string) (session *http.Cookie, stop func(), err error) {
	app := exec.Command(binary, append([]string{"-listen", address}, args...)...)
	app.Dir, app.Stderr = filepath.Dir(binary), os.Stderr
	if err := app.Start(); err != nil {
		return nil, nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Wait() }() // ends with the app
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for {
		if response, err := client.Get("http://" + address + "/login"); err == nil {
			response.Body.Close()
			return response.Cookies()[0], func() { app.Process.Kill(); <-ended }, nil
		}
		select {
		case err := <-ended:
			return nil, nil, fmt.Errorf("the app ended: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
