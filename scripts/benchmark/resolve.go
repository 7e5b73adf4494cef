//go:build linux

package main

import (
	"flag"
	"io"
	"net/http"
	"path"
	"strings"

	"storagesrv/metadata"
)

// internalPrefix is where nginx has the files that only the app can point to.
const internalPrefix = "/files"

// resolve is the app behind nginx, run as a process of its own: what a web app
// does that knows the calls and leaves their files to nginx.
func resolve(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("resolve", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "", "`host:port`")
	catalog := flags.String("catalog", "", "`file` in the shape of the recorder's API")
	if err := flags.Parse(args); err != nil {
		return errUsage
	}
	app, err := newResolver(*catalog)
	if err != nil {
		return err
	}
	return http.ListenAndServe(*listen, app)
}

// A resolver answers /recordings/ID with the place of the call's file.
type resolver struct {
	calls *metadata.Catalog
}

func newResolver(catalog string) (resolver, error) {
	calls, err := metadata.LoadCatalog(catalog, "")
	return resolver{calls}, err
}

func (a resolver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, ok := strings.CutPrefix(r.URL.Path, "/recordings/")
	if !ok || !metadata.ValidID(id) {
		http.Error(w, "bad call id", http.StatusBadRequest)
		return
	}
	call, err := a.calls.Call(r.Context(), id)
	if err != nil {
		http.Error(w, "no such call", http.StatusNotFound)
		return
	}
	if len(call.Files) == 0 {
		http.Error(w, "no recording", http.StatusNotFound)
		return
	}
	// Cleaned, so that no call names a file outside.
	name, ok := strings.CutPrefix(path.Clean(call.Files[0].Path), catalogPrefix+"/")
	if !ok {
		http.Error(w, "no such file", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "audio/wav")
	w.Header().Set("X-Accel-Redirect", internalPrefix+"/"+name)
}
