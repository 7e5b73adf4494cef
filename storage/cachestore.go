package storage

import (
	"context"
	"errors"
	"io/fs"
)

// Over returns store with the Cache before it. label says which store it is:
// what is kept of a recording is used for all stores of the same label.
//
// A check costs store an Open, unless it also has
//
//	Stat(ctx context.Context, name string) (fs.FileInfo, error)
//
// with the errors of Open. A File of store may have Alive() bool: if it reports
// false, because the File's connection is gone, it is not believed for
// [CacheConfig.Revalidate]. Alive must not wait.
//
// store bounds how long an Open, a Stat and a read take: they go on when who
// asked for them has left. They are given the context values of whoever came
// first.
func (c *Cache) Over(label string, store Store) Store {
	return &cachedStore{cache: c, label: label, below: store}
}

type cachedStore struct {
	cache *Cache
	label string
	below Store
}

// Open implements [Store].
func (s *cachedStore) Open(ctx context.Context, name string) (File, error) {
	if err := errors.Join(CheckName(name), ctx.Err()); err != nil {
		return nil, PathError(name, err)
	}
	for {
		h, fresh, err := s.cache.handle(ctx, s, name)
		if err != nil {
			return nil, PathError(name, err)
		}
		if err = h.ready(ctx, fresh); err == nil {
			return newCachedFile(ctx, h), nil
		}
		h.release()
		if err != errReplaced {
			return nil, err
		}
	}
}

// statter is what a Store may be besides.
type statter interface {
	Stat(ctx context.Context, name string) (fs.FileInfo, error)
}

// stat returns what name means now.
func (s *cachedStore) stat(ctx context.Context, name string) (fs.FileInfo, error) {
	ctx = WithHint(ctx, Hint{}) // nobody is going to read
	if store, ok := s.below.(statter); ok {
		return store.Stat(ctx, name)
	}
	file, info, err := s.open(ctx, name)
	if err == nil {
		file.Close()
	}
	return info, err
}

// open opens name in the store below.
func (s *cachedStore) open(ctx context.Context, name string) (File, fs.FileInfo, error) {
	file, err := s.below.Open(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, nil, PathError(name, err)
	}
	return file, info, nil
}
