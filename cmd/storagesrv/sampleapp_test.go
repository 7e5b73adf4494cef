package main

import (
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
	binary := filepath.Join(ts.Getenv("WORK"), "webapp")
	build := exec.Command("go", "build", "-o", binary, "storagesrv/scripts/webapp")
	if out, err := build.CombinedOutput(); err != nil {
		ts.Fatalf("%v: %s", err, out)
	}
	for left := 5; !startSampleapp(ts, binary, args); left-- {
		if left == 0 {
			ts.Fatalf("the app does not start")
		}
	}
}

// startSampleapp reports whether the app listens at a port that was free a
// moment ago.
func startSampleapp(ts *testscript.TestScript, binary string, args []string) bool {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	free.Close()
	address := free.Addr().String()
	app := exec.Command(binary, append([]string{"-listen", address}, args...)...)
	app.Dir, app.Stderr = ts.Getenv("WORK"), os.Stderr
	ts.Check(app.Start())
	ended := make(chan struct{})
	go func() { // ends with the app
		app.Wait()
		close(ended)
	}()
	ts.Defer(func() { app.Process.Kill(); <-ended })
	for {
		client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		if response, err := client.Get("http://" + address + "/login"); err == nil {
			response.Body.Close()
			ts.Setenv("APP", "http://"+address)
			ts.Setenv("SESSION", response.Cookies()[0].String())
			return true
		}
		select {
		case <-ended:
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
}
