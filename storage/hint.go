package storage

import "context"

// A Hint says which bytes of a recording will be read first, apart from those
// at its start, where it is proved to be media.
type Hint struct {
	Offset, Length int64
}

type hintKey struct{}

// WithHint returns a context for [Store.Open] that tells a distant store what
// to fetch together with what it learns about the file, so that the first bytes
// cost no round trip of their own. A store may ignore it.
func WithHint(ctx context.Context, h Hint) context.Context {
	return context.WithValue(ctx, hintKey{}, h)
}

// HintFrom returns what WithHint said, or the zero Hint.
func HintFrom(ctx context.Context) Hint {
	h, _ := ctx.Value(hintKey{}).(Hint)
	return h
}

type freshKey struct{}

// WithFresh returns a context for [Store.Open] that tells that the recording
// may have been written a moment ago: a store whose knowledge of what is there
// may be older looks again before it says that there is none.
func WithFresh(ctx context.Context) context.Context {
	return context.WithValue(ctx, freshKey{}, true)
}

// IsFresh reports whether WithFresh said so.
func IsFresh(ctx context.Context) bool { return ctx.Value(freshKey{}) != nil }
