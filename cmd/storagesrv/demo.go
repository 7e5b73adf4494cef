package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	"storagesrv/cmd/storagesrv/internal/config"
	"storagesrv/cmd/storagesrv/internal/demo"
	"storagesrv/cmd/storagesrv/internal/server"
)

type demoCommand struct {
	Listen string `help:"Address to listen on, of this machine alone, as host:port (${default})." default:"127.0.0.1:8080" placeholder:"ADDR"`
}

// Run serves a demo as serveCommand would, from a configuration file, until ctx
// ends. It leaves nothing behind.
func (c demoCommand) Run(ctx context.Context, out output) (err error) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP) // the terminal is closed
	defer stop()
	public, err := c.listen(ctx)
	if err != nil {
		return err
	}
	defer public.Close()
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer admin.Close()
	d, err := demo.Start(public.Addr().String(), admin.Addr().String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()

	settings, err := config.Load(d.Config)
	if err != nil {
		return err
	}
	log, endLog := newLogger(settings.Log, out)
	defer endLog()
	service, err := assemble(settings, log, out.stdout)
	if err != nil {
		return err
	}
	defer service.close()
	if err := d.Introduce(out.stdout, command()); err != nil {
		return err
	}
	return service.serveOn(ctx, public, admin, d.Handler(service.server), settings.HTTP)
}

// listen refuses an address that others can reach: a demo lets everyone in.
func (c demoCommand) listen(ctx context.Context) (net.Listener, error) {
	address, err := net.ResolveTCPAddr("tcp", c.Listen)
	if err != nil {
		return nil, &usageError{fmt.Errorf("--listen: %w", err)}
	}
	if !address.IP.IsLoopback() {
		return nil, &usageError{fmt.Errorf("--listen %s: a demo is for this machine alone, at an address such as 127.0.0.1:8080", c.Listen)}
	}
	listener, err := server.Listen(ctx, address.String())
	if err != nil {
		return nil, fmt.Errorf("%w; --listen 127.0.0.1:0 takes a free port", err)
	}
	return listener, nil
}

// command is what runs this program once more, in a shell.
func command() string {
	file, err := os.Executable()
	if err != nil {
		return "storagesrv"
	}
	return commandOf(file)
}

// goRun is where the binaries of go run are, which it removes sooner or later: in
// a temporary directory, or in its cache below the hash of what is in them.
var goRun = regexp.MustCompile(`[/\\](?:go-build[0-9]*[/\\]b[0-9]+[/\\]exe|[0-9a-f]{64}-d)[/\\][^/\\]+$`)

// plain is a path that a shell leaves as it is.
var plain = regexp.MustCompile(`^[0-9A-Za-z_./:+@%=-]+$`)

// commandOf is command for an executable file.
func commandOf(file string) string {
	switch {
	case goRun.MatchString(file):
		return "go run ./cmd/storagesrv"
	case !plain.MatchString(file):
		return "'" + strings.ReplaceAll(file, "'", `'\''`) + "'"
	}
	return file
}
