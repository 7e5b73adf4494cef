package metadatatest

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A Content is what the recorder makes of a file of a call: the plain recording,
// whatever is on its storage.
type Content struct {
	Data     []byte
	ETag     string    // "": none
	Modified time.Time // zero: none
	NoRanges bool      // the whole is the answer to any Range
	NoLength bool      // it does not say how much comes
}

// A Fetch is a request for a file that the recorder was sent, by its API or by
// a link.
type Fetch struct {
	CallID, FileID string
	Method         string
	Range, IfRange string // fields of its header
	ByLink         bool
}

// SetContent gives a file of a call its content. The file id "" is that of a
// request without one. A call without content has none: 404.
func (r *Recorder) SetContent(callID, fileID string, content Content) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.contents[[2]string{callID, fileID}] = content
}

// FailFile is Fail for requests for files, by the API or by a link.
func (r *Recorder) FailFile(id string, fault Fault) { r.fail(callFile, id, fault) }

// FailLink is Fail for requests for links.
func (r *Recorder) FailLink(id string, fault Fault) { r.fail(callLink, id, fault) }

// Fetches returns the requests for files, in the order in which they came.
func (r *Recorder) Fetches() []Fetch {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Fetch(nil), r.fetches...)
}

func (r *Recorder) serveFile(w http.ResponseWriter, request *http.Request) {
	id, ok := strings.CutSuffix(request.PathValue("id"), ".json")
	if !ok {
		http.NotFound(w, request)
		return
	}
	r.fetched(id, false, request).wrap(func(w http.ResponseWriter, request *http.Request) {
		if r.login(w, request) {
			r.sendContent(w, request, id)
		}
	}).ServeHTTP(w, request)
}

// fetched notes a request for a file, and returns what is to go wrong with it.
func (r *Recorder) fetched(id string, byLink bool, request *http.Request) Fault {
	h := request.Header
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fetches = append(r.fetches, Fetch{
		CallID: id, FileID: request.FormValue("file_id"), Method: request.Method,
		Range: h.Get("Range"), IfRange: h.Get("If-Range"), ByLink: byLink,
	})
	return r.faultOf(callFile, id)
}

func (r *Recorder) contentOf(callID, fileID string) (Content, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	content, ok := r.contents[[2]string{callID, fileID}]
	return content, ok
}

func (r *Recorder) sendContent(w http.ResponseWriter, request *http.Request, callID string) {
	content, ok := r.contentOf(callID, request.FormValue("file_id"))
	if !ok {
		http.Error(w, "<h1>Not Found</h1>", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", http.DetectContentType(content.Data))
	if content.ETag != "" {
		h.Set("ETag", content.ETag)
	}
	if content.NoRanges {
		request = request.Clone(request.Context())
		request.Header.Del("Range")
	}
	if content.NoLength {
		h.Set("Trailer", "X-End") // net/http sends no length then
	}
	http.ServeContent(rangeless{w, content}, request, "", content.Modified, bytes.NewReader(content.Data))
}

// A rangeless keeps from the header what http.ServeContent says of ranges and
// of the length, if that is not to be said.
type rangeless struct {
	http.ResponseWriter
	content Content
}

func (w rangeless) WriteHeader(status int) {
	if w.content.NoRanges {
		w.Header().Del("Accept-Ranges")
	}
	if w.content.NoLength {
		w.Header().Del("Content-Length")
	}
	w.ResponseWriter.WriteHeader(status)
}

func (r *Recorder) serveLink(w http.ResponseWriter, request *http.Request) {
	id, ok := strings.CutSuffix(request.PathValue("id"), ".json")
	if !ok {
		http.NotFound(w, request)
		return
	}
	r.mu.Lock()
	fault := r.faultOf(callLink, id)
	r.mu.Unlock()
	fault.wrap(func(w http.ResponseWriter, request *http.Request) { r.makeLink(w, request, id) }).ServeHTTP(w, request)
}

// makeLink answers with a link to this recorder as the client calls it.
func (r *Recorder) makeLink(w http.ResponseWriter, request *http.Request, id string) {
	if !r.login(w, request) {
		return
	}
	fileID := request.FormValue("file_id")
	seconds, err := strconv.Atoi(request.FormValue("expires"))
	if err != nil || seconds <= 0 {
		http.Error(w, "expires", http.StatusBadRequest)
		return
	}
	if _, ok := r.contentOf(id, fileID); !ok {
		http.Error(w, "<h1>Not Found</h1>", http.StatusNotFound)
		return
	}
	expires := strconv.FormatInt(time.Now().Add(time.Duration(seconds)*time.Second).Unix(), 10)
	query := url.Values{"expires": {expires}, "sign": {sign(id, fileID, expires)}}
	if fileID != "" {
		query.Set("file_id", fileID)
	}
	link := url.URL{Scheme: "http", Host: request.Host, Path: "/calls/file/" + id + "/signed", RawQuery: query.Encode()}
	if request.TLS != nil {
		link.Scheme = "https"
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]string{"signed_url": link.String()})
}

// signingKey signs the links of all recorders of this process.
var signingKey = []byte(rand.Text())

func sign(callID, fileID, expires string) string {
	mac := hmac.New(sha256.New, signingKey)
	mac.Write([]byte(callID + "\n" + fileID + "\n" + expires))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// serveSigned needs no login: the link is one.
func (r *Recorder) serveSigned(w http.ResponseWriter, request *http.Request) {
	id := request.PathValue("id")
	r.fetched(id, true, request).wrap(func(w http.ResponseWriter, request *http.Request) {
		expires := request.FormValue("expires")
		until, err := strconv.ParseInt(expires, 10, 64)
		valid := hmac.Equal([]byte(request.FormValue("sign")), []byte(sign(id, request.FormValue("file_id"), expires)))
		if err != nil || !valid || time.Now().Unix() > until {
			http.Error(w, "the link is invalid or has expired", http.StatusForbidden)
			return
		}
		r.sendContent(w, request, id)
	}).ServeHTTP(w, request)
}
