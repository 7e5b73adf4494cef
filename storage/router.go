package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// ErrUnmapped says that no entry of the routing table covers a file_path.
var ErrUnmapped = errors.New("no storage entry covers the path")

// An Entry of the routing table says that recordings whose file_path starts
// with Prefix are in Store. Prefix is the absolute path of a directory as the
// recorder spells it: /var/recordings, C:\Recordings or \\server\share. It
// ends at a path segment: /var/recordings does not cover /var/recordings-old.
// In Windows paths case is ignored and / is \.
type Entry struct {
	Prefix string
	Label  string // what operators call the store: "/var/recordings sftp"
	Store  Store
	Health func() Health // how the store is; it waits a moment at most
}

// A Router maps the file_path of a call to the stores that may have it. The
// longest prefix wins; entries of equal prefix are tried in order, but those
// that are known to be down last: they may take their time to say so again. It
// is safe for concurrent use.
type Router struct {
	// Observe, if not nil, is told of each attempt to open: at which place,
	// how long it took, and how it ended. Set it before first use.
	Observe func(Place, time.Duration, error)

	entries []entry
}

type entry struct {
	Entry
	prefix path
	missed *atomic.Bool // the last Open did not reach it
}

// isDown reports whether the store says that it is down. One that answers is
// not asked for its health.
func (e entry) isDown() bool { return e.missed.Load() && e.Health != nil && !e.Health().Up }

// A Place is where a recording is, or was looked for.
type Place struct {
	Store string // the label of the store's entry
	Name  string // of the recording in the store
}

// NewRouter returns a Router over entries. It refuses a prefix that is not an
// absolute path.
func NewRouter(entries ...Entry) (*Router, error) {
	r := &Router{}
	for _, e := range entries {
		prefix, err := parsePath(e.Prefix, true)
		if err != nil {
			return nil, fmt.Errorf("prefix %q: %w", e.Prefix, err)
		}
		r.entries = append(r.entries, entry{e, prefix, new(atomic.Bool)})
	}
	return r, nil
}

// Entries returns the routing table.
func (r *Router) Entries() []Entry {
	table := make([]Entry, len(r.entries))
	for i, e := range r.entries {
		table[i] = e.Entry
	}
	return table
}

// Open opens the recording at filePath, which is hostile input. The error is
// ErrUnmapped, or wraps fs.ErrInvalid, before any store has seen the path.
// Otherwise it is that of the store, or, where several stores share the
// prefix, the one that says most: "not there" only if all of them said so.
func (r *Router) Open(ctx context.Context, filePath string) (File, Place, error) {
	candidates, name, err := r.route(filePath)
	if err != nil {
		return nil, Place{}, PathError(filePath, err)
	}
	var worst error
	var where Place
	for _, e := range downLast(candidates) {
		place := Place{e.Label, name}
		file, err := r.open(ctx, e, place)
		if err == nil {
			return file, place, nil
		}
		if ctx.Err() != nil {
			return nil, place, err
		}
		if worst == nil || severity(err) > severity(worst) {
			where = place
		}
		worst = worse(worst, err)
	}
	return nil, where, worst
}

// OpenElsewhere opens the recording at filePath in a store of the same prefix
// that is none of those of not. The error is fs.ErrNotExist if there is none.
func (r *Router) OpenElsewhere(ctx context.Context, filePath string, not ...Place) (File, Place, error) {
	candidates, name, err := r.route(filePath)
	if err != nil {
		return nil, Place{}, PathError(filePath, err)
	}
	err = PathError(filePath, fs.ErrNotExist)
	for _, e := range downLast(candidates) {
		if slices.ContainsFunc(not, func(p Place) bool { return p.Store == e.Label }) {
			continue
		}
		var file File
		place := Place{e.Label, name}
		if file, err = r.open(ctx, e, place); err == nil {
			return file, place, nil
		}
	}
	return nil, Place{}, err
}

func (r *Router) open(ctx context.Context, e entry, place Place) (File, error) {
	start := time.Now()
	file, err := e.Store.Open(ctx, place.Name)
	if ctx.Err() == nil {
		e.missed.Store(err != nil && severity(err) >= tooSlow)
	}
	if r.Observe != nil {
		r.Observe(place, time.Since(start), err)
	}
	return file, err
}

// downLast returns candidates in the order in which they are to be tried.
func downLast(candidates []entry) []entry {
	if len(candidates) == 1 {
		return candidates
	}
	var up, down []entry
	for _, e := range candidates {
		if e.isDown() {
			down = append(down, e)
		} else {
			up = append(up, e)
		}
	}
	return append(up, down...)
}

// route returns the entries of the longest prefix that covers filePath, and
// the name below it.
func (r *Router) route(filePath string) (candidates []entry, name string, err error) {
	p, err := parsePath(filePath, false)
	if err != nil {
		return nil, "", err
	}
	candidates, name = r.longest(p)
	if candidates == nil && p.family == posix && strings.HasPrefix(filePath, "//") {
		// Some software on Windows writes UNC paths with slashes.
		if p, err = parsePath(`\\`+filePath[2:], false); err != nil {
			return nil, "", err
		}
		candidates, name = r.longest(p)
	}
	if candidates == nil {
		return nil, "", ErrUnmapped
	}
	return candidates, name, CheckName(name)
}

func (r *Router) longest(p path) (candidates []entry, name string) {
	longest := -1
	for _, e := range r.entries {
		below, ok := p.below(e.prefix)
		switch n := len(e.prefix.segments); {
		case !ok || n < longest:
		case n == longest:
			candidates = append(candidates, e)
		default:
			longest, candidates, name = n, []entry{e}, below
		}
	}
	return candidates, name
}

// worse returns which of two stores' errors to answer with. A store that could
// not be asked may have the file, so its word outweighs "not there".
func worse(a, b error) error {
	if a == nil {
		return b
	}
	if severity(b) > severity(a) {
		a, b = b, a
	}
	if severity(a) == tooSlow && severity(b) < tooSlow {
		return fmt.Errorf("%w: %w", ErrUnavailable, a)
	}
	return a
}

const (
	notThere = iota
	notOpenable
	refused
	tooSlow
	notAsked
)

func severity(err error) int {
	switch {
	case errors.Is(err, ErrUnavailable):
		return notAsked
	case errors.Is(err, fs.ErrNotExist):
		return notThere
	case errors.Is(err, fs.ErrInvalid):
		return notOpenable
	case errors.Is(err, fs.ErrPermission):
		return refused
	case errors.Is(err, context.DeadlineExceeded):
		return tooSlow
	}
	return notAsked
}
