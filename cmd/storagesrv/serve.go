package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"storagesrv/cmd/storagesrv/internal/batch"
	"storagesrv/cmd/storagesrv/internal/config"
)

// ConfigFlag is the flag that names the configuration file.
type ConfigFlag struct {
	Config string `help:"Configuration file (default: storagesrv.yaml here, then /etc/storagesrv/storagesrv.yaml)." placeholder:"FILE" type:"path"`
}

// load reads the configuration.
func (f ConfigFlag) load() (*config.Config, error) {
	if f.Config != "" {
		return loadConfig(f.Config)
	}
	for _, file := range []string{"storagesrv.yaml", "/etc/storagesrv/storagesrv.yaml"} {
		c, err := loadConfig(file)
		if !errors.Is(err, fs.ErrNotExist) {
			return c, err
		}
	}
	return nil, &usageError{errors.New("no configuration: neither storagesrv.yaml here nor /etc/storagesrv/storagesrv.yaml; --config names another")}
}

// loadConfig makes a file that cannot be read a fault of the caller.
func loadConfig(file string) (*config.Config, error) {
	c, err := config.Load(file)
	if err != nil && !errors.As(err, new(*config.Error)) {
		err = &usageError{err}
	}
	return c, err
}

type serveCommand struct {
	ConfigFlag
}

// Run serves until ctx ends, and then drains.
func (c serveCommand) Run(ctx context.Context, out output) error {
	signal.Ignore(syscall.SIGPIPE)   // whoever reads the log, or an audit on standard output, may end before us
	moved := make(chan os.Signal, 1) // that files were, of the audit; to read the configuration anew takes a restart
	signal.Notify(moved, syscall.SIGHUP)
	defer signal.Stop(moved)
	settings, err := c.load()
	if err != nil {
		return err
	}
	limitMemory(int64(settings.Cache.Memory))
	log, endLog := newLogger(settings.Log, out)
	defer endLog()
	service, err := assemble(settings, log, out.stdout)
	if err != nil {
		return settings.Locate(err)
	}
	defer service.close()
	if openToAll(settings.Access) {
		log.Warn("there is no access control: whoever reaches this server plays any recording", "listen", settings.HTTP.Listen)
	}
	go service.reopenAudit(ctx, moved)
	err = service.serve(ctx, settings.HTTP)
	if wrong := (*usageError)(nil); errors.As(err, &wrong) {
		return settings.Locate(wrong)
	}
	return err
}

// newLogger returns a logger, and what writes the last of its log. A warning is
// written at once, and the rest within 100 ms. An output that takes nothing holds
// up nobody for long: what it does not take is dropped, and counted in the log.
func newLogger(c config.Log, out output) (log *slog.Logger, end func() error) {
	w := batch.NewWriter(out.stderr, func(lines int) []byte {
		var text bytes.Buffer
		slog.New(newHandler(c, &text)).Warn("lines are missing here: the log's output took nothing", "lines", lines)
		return text.Bytes()
	})
	return slog.New(batch.Urgent(newHandler(c, w), w, slog.LevelWarn)), w.Close
}

// newHandler writes lines in the format, and from the level on, that c says.
func newHandler(c config.Log, w io.Writer) slog.Handler {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		panic(fmt.Sprintf("config let level %q through", c.Level))
	}
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "text" {
		return slog.NewTextHandler(w, options)
	}
	return slog.NewJSONHandler(w, options)
}
