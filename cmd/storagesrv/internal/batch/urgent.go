package batch

import (
	"context"
	"log/slog"
)

// Urgent returns a handler whose records from a level on do not wait in w, which
// h writes to.
func Urgent(h slog.Handler, w *Writer, level slog.Level) slog.Handler { return urgent{h, w, level} }

type urgent struct {
	slog.Handler
	writer *Writer
	level  slog.Level
}

// Handle implements [slog.Handler].
func (u urgent) Handle(ctx context.Context, r slog.Record) error {
	err := u.Handler.Handle(ctx, r)
	if r.Level >= u.level {
		u.writer.Flush()
	}
	return err
}

// WithAttrs implements [slog.Handler].
func (u urgent) WithAttrs(attrs []slog.Attr) slog.Handler {
	return urgent{u.Handler.WithAttrs(attrs), u.writer, u.level}
}

// WithGroup implements [slog.Handler].
func (u urgent) WithGroup(name string) slog.Handler {
	return urgent{u.Handler.WithGroup(name), u.writer, u.level}
}
