// Command webapp is a small web app that plays calls through storagesrv in each
// of the three ways, to users that it knows by a cookie, which its login page
// hands out. It shows what an app has to do.
//
//	webapp -play http://play.example.lan:8080 -domain example.lan -token-file token call-1 call-2 …
package main

import (
	"crypto/rand"
	"encoding/json"
	"flag"
	"html/template"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
)

var (
	storagesrv = flag.String("storagesrv", "http://127.0.0.1:8080", "`URL` of storagesrv for this app")
	play       = flag.String("play", "http://127.0.0.1:8080", "`URL` of storagesrv for browsers")
	domain     = flag.String("domain", "", "`domain` of this app and of storagesrv, for the session's cookie")
	tokenFile  = flag.String("token-file", "token", "`file` with this app's token")
	expires    = flag.String("expires", "3600", "how many `seconds` a signed link is good for")
	listen     = flag.String("listen", "127.0.0.1:8090", "`address` to listen on")
	session    = rand.Text() // one user is enough here
)

func main() {
	flag.Parse()
	http.HandleFunc("GET /login", login)
	http.HandleFunc("GET /{$}", asUser(page))
	http.HandleFunc("GET /way1/{call}", asUser(ask("file_url.json", "subject=anna&expires="+*expires, redirect)))
	http.HandleFunc("GET /way2/{call}", asUser(ask("file", "", nil)))
	http.HandleFunc("GET /may-play", asUser(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Forwarded-User", "anna") }))
	log.Fatal(http.ListenAndServe(*listen, nil))
}

// login lets everybody in, where a real app asks for a password.
func login(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: "session", Value: session, Domain: *domain, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// asUser asks for a session. A real app looks here whether this user may play
// this call: {call}, or what X-Storagesrv-Call-Id says in /may-play.
func asUser(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if cookie, err := r.Cookie("session"); err != nil || cookie.Value != session {
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		h(w, r)
	}
}

var layout = template.Must(template.New("").Parse(`<!doctype html><title>Calls</title>{{range .Calls}}
<p>{{.}}: <audio id="way1-{{.}}" controls preload="none" src="/way1/{{.}}"></audio>
<audio id="way2-{{.}}" controls preload="none" src="/way2/{{.}}"></audio>
<audio id="way3-{{.}}" controls preload="none" src="{{$.Play}}/recordings/{{.}}"></audio></p>{{end}}`))

func page(w http.ResponseWriter, _ *http.Request) {
	layout.Execute(w, map[string]any{"Calls": flag.Args(), "Play": *play}) // an error here is the client's
}

// ask puts a request to storagesrv as this app. Way 2 passes on what comes, with
// its ranges; way 1 turns it into a redirect.
func ask(what, query string, turn func(*http.Response) error) http.HandlerFunc {
	secret, err := os.ReadFile(*tokenFile)
	if err != nil {
		log.Fatal(err)
	}
	target, err := url.Parse(*storagesrv + "/")
	if err != nil {
		log.Fatal(err)
	}
	return (&httputil.ReverseProxy{ModifyResponse: turn, Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL = target.JoinPath("api/v2/calls", url.PathEscape(r.In.PathValue("call"))+".json", what)
		r.Out.URL.RawQuery, r.Out.Host = query, ""
		r.Out.Header.Del("Cookie")
		r.Out.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(secret)))
	}}).ServeHTTP
}

// redirect sends the browser to the signed link that storagesrv answered with.
func redirect(answer *http.Response) error {
	if answer.StatusCode != http.StatusOK {
		return nil // it says why not
	}
	defer answer.Body.Close()
	var link struct{ Signed_URL string }
	err := json.NewDecoder(answer.Body).Decode(&link)
	answer.StatusCode, answer.Body, answer.ContentLength = http.StatusFound, http.NoBody, 0
	answer.Header = http.Header{"Location": {link.Signed_URL}, "Cache-Control": {"no-store"}}
	return err
}
