// Command storagesrv plays call recordings to web apps straight from the
// recorder's storage. README.md says how to set it up.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"storagesrv/cmd/storagesrv/internal/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		complain(err)
	}
	os.Exit(exitCode(err))
}

// complain says on standard error why we end, unless that takes nothing.
func complain(err error) {
	said := make(chan struct{})
	go func() { // ends with the process, at the latest
		fmt.Fprintln(os.Stderr, "storagesrv:", err)
		close(said)
	}()
	select {
	case <-said:
	case <-time.After(complainTimeout):
	}
}

const complainTimeout = 2 * time.Second

type commands struct {
	Serve   serveCommand   `cmd:"" help:"Serve recordings as a configuration file says."`
	Demo    demoCommand    `cmd:"" help:"Show everything in one process, with recordings made up for it."`
	Sign    signCommand    `cmd:"" help:"Print a link that plays a recording for a while, to whoever has it."`
	Health  healthCommand  `cmd:"" help:"Ask a running server whether it lives: for container health checks."`
	Version versionCommand `cmd:"" help:"Print version, commit and Go version."`
}

// An output is where a command writes.
type output struct{ stdout, stderr io.Writer }

// run parses args and runs a command until it is done or ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	exited := errors.New("help was printed")
	defer func() {
		if p := recover(); p == exited {
			err = nil
		} else if p != nil {
			panic(p)
		}
	}()
	parser, err := kong.New(&commands{},
		kong.Name("storagesrv"),
		kong.Description("Plays call recordings to web apps straight from the recorder's storage."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { panic(exited) }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(output{stdout, stderr}))
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if err != nil {
		return &usageError{err}
	}
	return command.Run()
}

// A usageError is a fault of whoever called us, and not of what they asked for.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// exitCode is 0 for done, 2 for wrong usage or configuration, 1 for the rest.
func exitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(*usageError)), errors.As(err, new(*config.Error)):
		return 2
	}
	return 1
}
