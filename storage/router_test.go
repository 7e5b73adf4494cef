package storage_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"storagesrv/storage"
)

// recording notes the names it is asked for and answers with a fixed error.
type recording struct {
	names []string
	err   error
}

func (r *recording) Open(_ context.Context, name string) (storage.File, error) {
	r.names = append(r.names, name)
	return nil, storage.PathError(name, r.err)
}

func router(t testing.TB, prefixes ...string) (*storage.Router, map[string]*recording) {
	t.Helper()
	stores := make(map[string]*recording)
	var entries []storage.Entry
	for _, prefix := range prefixes {
		stores[prefix] = &recording{err: fs.ErrNotExist}
		entries = append(entries, storage.Entry{Prefix: prefix, Label: "store of " + prefix, Store: stores[prefix]})
	}
	r, err := storage.NewRouter(entries...)
	if err != nil {
		t.Fatal(err)
	}
	return r, stores
}

func TestRouterSendsAPathToTheLongestPrefix(t *testing.T) {
	const (
		root, recordings, archive = "/", "/var/recordings", "/var/recordings/archive/"
		windows, share            = `C:\Recordings`, `\\nas\calls`
	)
	for _, c := range []struct{ path, prefix, name string }{
		{"/var/recordings/20131012/a.mp3", recordings, "20131012/a.mp3"},
		{"/var//recordings///20131012//a.mp3", recordings, "20131012/a.mp3"},
		{"//var/recordings/a.mp3", recordings, "a.mp3"},
		{"/var/recordings/archive/a.mp3", archive, "a.mp3"},
		{"/var/recordings/archived/a.mp3", recordings, "archived/a.mp3"},
		{"/var/recordings-evil/a.mp3", root, "var/recordings-evil/a.mp3"},
		{"/var/Recordings/a.mp3", root, "var/Recordings/a.mp3"},
		{"/var/recordings/a b%2e%2e#?.mp3", recordings, "a b%2e%2e#?.mp3"},
		{"/var/recordings/...", recordings, "..."},
		{"/var/recordings/a:b", recordings, "a:b"},
		{`C:\Recordings\2013\a.mp3`, windows, "2013/a.mp3"},
		{`c:/RECORDINGS\2013/A.mp3`, windows, "2013/A.mp3"},
		{`\\NAS\Calls\a.mp3`, share, "a.mp3"},
		{`\\nas/calls/a.mp3`, share, "a.mp3"},
	} {
		r, stores := router(t, root, recordings, archive, windows, share)
		_, place, err := r.Open(t.Context(), c.path)
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		if got := stores[c.prefix].names; len(got) != 1 || got[0] != c.name {
			t.Errorf("%s: store %s was asked for %q, want %q", c.path, c.prefix, got, c.name)
		}
		if want := (storage.Place{Store: "store of " + c.prefix, Name: c.name}); place != want {
			t.Errorf("%s: place %v, want %v", c.path, place, want)
		}
	}
}

func TestRouterReadsUNCPathsWrittenWithSlashes(t *testing.T) {
	r, stores := router(t, "/var/recordings", `\\nas\calls`)
	if _, _, err := r.Open(t.Context(), "//nas/calls/a.mp3"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if got := stores[`\\nas\calls`].names; len(got) != 1 || got[0] != "a.mp3" {
		t.Errorf("asked for %q", got)
	}
}

// Paths that are refused before any store sees them. The server's tests send
// the same ones through both stores.
var hostile = []struct {
	path string
	want error
}{
	{"", fs.ErrInvalid},
	{"a.mp3", fs.ErrInvalid},
	{"./a.mp3", fs.ErrInvalid},
	{"../a.mp3", fs.ErrInvalid},
	{"var/recordings/a.mp3", fs.ErrInvalid},
	{"/", fs.ErrInvalid},
	{"/var/recordings", storage.ErrUnmapped},
	{"/var/recordings/", fs.ErrInvalid},
	{"/var/recordings/a.mp3/", fs.ErrInvalid},
	{"/var/recordings/..", fs.ErrInvalid},
	{"/var/recordings/../recordings/a.mp3", fs.ErrInvalid},
	{"/var/recordings/../../etc/passwd", fs.ErrInvalid},
	{"/var/recordings/./a.mp3", fs.ErrInvalid},
	{"/var/recordings/a/../a.mp3", fs.ErrInvalid},
	{"/var/recordings-evil/a.mp3", storage.ErrUnmapped},
	{"/var/recordingsa.mp3", storage.ErrUnmapped},
	{"/VAR/recordings/a.mp3", storage.ErrUnmapped},
	{"/etc/passwd", storage.ErrUnmapped},
	{"~/a.mp3", fs.ErrInvalid},
	{"file:///var/recordings/a.mp3", fs.ErrInvalid},
	{"/var/recordings/a\x00.mp3", fs.ErrInvalid},
	{"/var/recordings/a\n.mp3", fs.ErrInvalid},
	{"/var/recordings/\x1b[2J", fs.ErrInvalid},
	{"/var/recordings/a\x7f", fs.ErrInvalid},
	{"/var/recordings/a\xff.mp3", fs.ErrInvalid},
	{`/var/recordings/..\..\etc\passwd`, fs.ErrInvalid},
	{`/var\recordings\a.mp3`, fs.ErrInvalid},
	{`/var/recordings/` + strings.Repeat("a", 256), fs.ErrInvalid},
	{"/var/recordings/" + strings.Repeat("a/", 2048) + "a", fs.ErrInvalid},
	{"/var/recordings/" + strings.Repeat("a", 1<<20), fs.ErrInvalid},
	{`C:`, fs.ErrInvalid},
	{`C:a.mp3`, fs.ErrInvalid},
	{`C:\Recordings`, storage.ErrUnmapped},
	{`C:\Recordings\..\Windows\win.ini`, fs.ErrInvalid},
	{`C:\Recordings\a.mp3::$DATA`, fs.ErrInvalid},
	{`C:\Recordings\.. \a.mp3`, fs.ErrInvalid},
	{`C:\Recordings\...\a.mp3`, fs.ErrInvalid},
	{`C:\Recordings\a.mp3.`, fs.ErrInvalid},
	{`C:\Recordings\a.mp3 `, fs.ErrInvalid},
	{`C:\RecordingsEvil\a.mp3`, storage.ErrUnmapped},
	{`D:\Recordings\a.mp3`, storage.ErrUnmapped},
	{`\\?\C:\Recordings\a.mp3`, fs.ErrInvalid},
	{`\\.\PhysicalDrive0`, fs.ErrInvalid},
	{`\\nas`, fs.ErrInvalid},
	{`\\nas\other\a.mp3`, storage.ErrUnmapped},
	{`\Recordings\a.mp3`, fs.ErrInvalid},
}

func TestRouterRefusesHostilePathsBeforeAnyStoreSeesThem(t *testing.T) {
	for _, c := range hostile {
		r, stores := router(t, "/var/recordings", `C:\Recordings`, `\\nas\calls`)
		if _, _, err := r.Open(t.Context(), c.path); !errors.Is(err, c.want) {
			t.Errorf("%.60q: %v, want %v", c.path, err, c.want)
		}
		for prefix, store := range stores {
			if len(store.names) > 0 {
				t.Errorf("%.60q: store %s was asked for %.60q", c.path, prefix, store.names)
			}
		}
	}
}

func TestNewRouterRefusesPrefixesThatAreNoDirectories(t *testing.T) {
	for _, prefix := range []string{"", "recordings", "/var/../recordings", "./x", "C:", `\\nas`, "/a\x00"} {
		if _, err := storage.NewRouter(storage.Entry{Prefix: prefix}); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("prefix %q: %v", prefix, err)
		}
	}
}

func TestRouterSaysNotThereOnlyIfAllStoresOfAPrefixSaidSo(t *testing.T) {
	timeout := context.DeadlineExceeded
	for _, c := range []struct {
		name   string
		stores []error
		want   error
		where  string
	}{
		{"all without it", []error{fs.ErrNotExist, fs.ErrNotExist}, fs.ErrNotExist, "0"},
		{"first down", []error{storage.ErrUnavailable, fs.ErrNotExist}, storage.ErrUnavailable, "0"},
		{"second down", []error{fs.ErrNotExist, storage.ErrUnavailable}, storage.ErrUnavailable, "1"},
		{"one slow", []error{timeout, fs.ErrNotExist}, storage.ErrUnavailable, "0"},
		{"both slow", []error{timeout, timeout}, timeout, "0"},
		{"slow, missing, slow", []error{timeout, fs.ErrNotExist, timeout}, storage.ErrUnavailable, "0"},
		{"one refuses", []error{fs.ErrNotExist, fs.ErrPermission}, fs.ErrPermission, "1"},
		{"one a directory", []error{fs.ErrInvalid, fs.ErrNotExist}, fs.ErrInvalid, "0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var entries []storage.Entry
			for i, err := range c.stores {
				entries = append(entries, storage.Entry{Prefix: "/r", Label: fmt.Sprint(i), Store: &recording{err: err}})
			}
			r, err := storage.NewRouter(entries...)
			if err != nil {
				t.Fatal(err)
			}
			_, place, err := r.Open(t.Context(), "/r/a.mp3")
			if !errors.Is(err, c.want) || place.Store != c.where {
				t.Errorf("got %v of store %s, want %v of %s", err, place.Store, c.want, c.where)
			}
			if c.want != fs.ErrNotExist && errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v reads as not there", err)
			}
		})
	}
}

func TestRouterAsksAStoreThatIsDownLast(t *testing.T) {
	var asked []string
	health, healths := storage.Health{Up: true}, 0
	first, second := &recording{err: fs.ErrNotExist}, &recording{err: fs.ErrNotExist}
	r, err := storage.NewRouter(
		storage.Entry{Prefix: "/r", Label: "first", Store: first, Health: func() storage.Health { healths++; return health }},
		storage.Entry{Prefix: "/r", Label: "second", Store: second})
	if err != nil {
		t.Fatal(err)
	}
	r.Observe = func(place storage.Place, _ time.Duration, _ error) { asked = append(asked, place.Store) }
	want := func(inOrder string) {
		t.Helper()
		asked = nil
		r.Open(t.Context(), "/r/a.mp3")
		if got := strings.Join(asked, " "); got != inOrder {
			t.Errorf("asked %s, want %s", got, inOrder)
		}
	}
	want("first second")
	health.Up = false
	want("first second")
	if healths > 0 {
		t.Error("a store that answers is asked for its health")
	}
	first.err = context.DeadlineExceeded
	want("first second")
	want("second first")
	want("second first")
	health.Up = true // as it says: whether it does will show
	want("first second")
	want("first second")
	first.err = fs.ErrNotExist
	want("first second")
	health.Up = false
	want("first second")
}

func FuzzRouter(f *testing.F) {
	for _, c := range hostile {
		f.Add(c.path)
	}
	f.Add("/var/recordings/20131012/a.mp3")
	f.Add(`c:/recordings/A.mp3`)
	f.Fuzz(func(t *testing.T, filePath string) {
		r, stores := router(t, "/var/recordings", `C:\Recordings`, `\\nas\calls`)
		_, _, err := r.Open(t.Context(), filePath)
		for prefix, store := range stores {
			for _, name := range store.names {
				if err := storage.CheckName(name); err != nil {
					t.Errorf("%q reached %s as %q: %v", filePath, prefix, name, err)
				}
				if !strings.EqualFold(filePath[:2], prefix[:2]) && !strings.HasPrefix(filePath, "//") {
					t.Errorf("%q reached %s", filePath, prefix)
				}
			}
		}
		if err == nil {
			t.Errorf("%q: no error from stores without files", filePath)
		}
	})
}
