package sftp

import (
	"errors"
	"io/fs"
	"testing"

	"storagesrv/storage"
)

func TestWhatAResumeFindsLaterChangesNoVerdict(t *testing.T) {
	for _, verdict := range []error{fs.ErrClosed, storage.ErrChanged} {
		for _, found := range []error{fs.ErrNotExist, fs.ErrPermission, storage.ErrUnavailable} {
			f := &File{failure: verdict}
			if err := f.adopt(nil, found); err == nil {
				t.Errorf("%v: no error", found)
			}
			if f.failure != verdict {
				t.Errorf("after %v, %v: reads fail with %v", verdict, found, f.failure)
			}
			if _, err := f.Read(make([]byte, 1)); !errors.Is(err, verdict) {
				t.Errorf("after %v, %v: %v", verdict, found, err)
			}
		}
	}
}
