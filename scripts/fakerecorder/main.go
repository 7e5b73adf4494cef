// Command fakerecorder is a recorder for docker-compose.yml: it serves the
// calls of a catalog file as the recorder's API does, to one login.
//
//	fakerecorder -catalog calls.json -username playback -password-file secret
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"storagesrv/metadata"
	"storagesrv/metadata/metadatatest"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "`address` to listen on")
	catalog := flag.String("catalog", "calls.json", "`file` of calls")
	username := flag.String("username", "", "user `name` of the login")
	passwordFile := flag.String("password-file", "", "`file` with the password of the login")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *listen, *catalog, *username, *passwordFile); err != nil {
		log.Fatal("fakerecorder: ", err)
	}
}

func serve(ctx context.Context, listen, catalog, username, passwordFile string) error {
	calls, err := metadata.LoadCatalog(catalog, "")
	if err != nil {
		return err
	}
	password, err := os.ReadFile(passwordFile)
	if err != nil {
		return fmt.Errorf("read password: %w", err)
	}
	recorder := metadatatest.New(username, strings.TrimRight(string(password), "\r\n"))
	recorder.SetCatalog(calls)
	server := &http.Server{Addr: listen, Handler: recorder, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	log.Printf("serving %d calls on %s", calls.Len(), listen)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
