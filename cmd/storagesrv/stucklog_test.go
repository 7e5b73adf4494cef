package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A stuckLog takes nothing more after the address, until its gate is closed.
type stuckLog struct {
	*awaitedLog
	gate    chan struct{}
	missing chan struct{} // receives when lines are said to be missing
}

func (l stuckLog) Write(p []byte) (int, error) {
	if strings.Contains(l.String(), `"msg":"serving"`) {
		<-l.gate
	}
	if strings.Contains(string(p), `"msg":"lines are missing here: the log's output took nothing","lines":`) {
		l.missing <- struct{}{}
	}
	return l.awaitedLog.Write(p)
}

func TestALogThatTakesNothingHoldsUpNeitherRequestsNorTheExit(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"calls.json":      `[]`,
		"storagesrv.yaml": fmt.Sprintf(`{http: {listen: "127.0.0.1:0", admin: ""}, metadata: {catalog: calls.json}, storage: [{prefix: /r, mount: {root: %s}}]}`, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := stuckLog{newAwaitedLog(), make(chan struct{}), make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "--config", filepath.Join(dir, "storagesrv.yaml")}, log, log)
	}()
	address := <-log.address

	client := http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	path := "http://" + address + "/" + strings.Repeat("x", 200) + "/"
	const requests = 1000 // whose lines no buffer holds
	for i := range requests {
		response, err := client.Get(fmt.Sprint(path, i))
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		response.Body.Close()
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience): // drain_timeout is as much, and nobody needs it
		t.Error("it does not end")
	}
	close(log.gate)
	select {
	case <-log.missing:
	case <-time.After(patience):
		t.Error("nothing says that lines are missing")
	}
}
