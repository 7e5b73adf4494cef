package storagetest

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"storagesrv/storage"
)

// RunRouted runs the contract through a [storage.Router], behind a first entry
// of the same prefix that has no files.
func RunRouted(t *testing.T, newStore Factory) {
	Run(t, func(t *testing.T, dir string, followLinks bool) storage.Store {
		router, err := storage.NewRouter(
			storage.Entry{Prefix: "/recordings", Label: "empty", Store: Failing{fs.ErrNotExist}},
			storage.Entry{Prefix: "/recordings", Label: "test", Store: newStore(t, dir, followLinks)})
		if err != nil {
			t.Fatal(err)
		}
		return routed{router}
	})
}

// routed makes a Store of a Router.
type routed struct{ router *storage.Router }

func (r routed) Open(ctx context.Context, name string) (storage.File, error) {
	if err := storage.CheckName(name); err != nil {
		return nil, storage.PathError(name, err) // a file_path is more lenient than a name
	}
	file, _, err := r.router.Open(ctx, "/recordings/"+name)
	return file, err
}

// Failing is a Store that answers every Open with its error.
type Failing struct{ Err error }

// Open implements [storage.Store].
func (f Failing) Open(ctx context.Context, name string) (storage.File, error) {
	return nil, storage.PathError(name, errors.Join(f.Err, ctx.Err()))
}
