package demo

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"time"
)

//go:embed page
var pageFiles embed.FS

var pageTemplate = template.Must(template.ParseFS(pageFiles, "page/page.html"))

func render(calls []knownCall) ([]byte, error) {
	var page bytes.Buffer
	err := pageTemplate.Execute(&page, calls)
	return page.Bytes(), err
}

// Handler returns server with a page of all calls at "/".
func (d *Demo) Handler(server http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			server.ServeHTTP(w, r)
		case path == "/":
			h := w.Header()
			h.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
			h.Set("Cache-Control", "no-cache")
			http.ServeContent(w, r, "page.html", time.Time{}, bytes.NewReader(d.page))
		case path == "/page.css", path == "/page.js", path == "/page.svg":
			http.ServeFileFS(w, r, pageFiles, "page"+path)
		default:
			server.ServeHTTP(w, r)
		}
	})
}
