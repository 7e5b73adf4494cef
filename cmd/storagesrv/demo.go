package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/signal"
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
	if err := d.Introduce(out.stdout); err != nil {
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
