// Package metadatatest is a recorder to test against: its API for metadata and
// for recordings, and all the ways in which that can fail.
//
// A [Recorder] is an http.Handler, for tests and for programs that need a
// recorder of their own:
//
//	recorder := metadatatest.New("playback", "secret")
//	recorder.Set(metadata.Call{ID: "c1", Files: []metadata.File{{ID: "01", Path: "/var/recordings/1.mp3"}}})
//	recorder.Fail("c1", metadatatest.Times(2, metadatatest.Status(503, "restarting")))
//	server := httptest.NewServer(recorder)
package metadatatest

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"storagesrv/metadata"
)

// A Recorder answers GET /api/v2/calls/{id}.json and, for calls with content, what
// is below that: file, the recording, and file_url.json, a link to it that needs
// no login. Its methods may be called while it serves.
type Recorder struct {
	mux                *http.ServeMux
	username, password string

	// mu guards what is below.
	mu       sync.Mutex
	catalog  *metadata.Catalog
	answers  map[string]json.RawMessage // by call id; nil: the call was removed
	faults   map[resource]Fault         // by call id; "" for all others
	requests map[string]int             // for metadata, by call id
	contents map[[2]string]Content      // by call id and file id
	fetches  []Fetch
	running  int
	most     int // the highest value of running
}

// New returns a recorder without calls that wants this HTTP Basic login.
func New(username, password string) *Recorder {
	r := &Recorder{
		mux:      http.NewServeMux(),
		username: username,
		password: password,
		answers:  make(map[string]json.RawMessage),
		faults:   make(map[resource]Fault),
		requests: make(map[string]int),
		contents: make(map[[2]string]Content),
	}
	r.mux.HandleFunc("GET /api/v2/calls/{id}", r.serveCall)
	r.mux.HandleFunc("GET /api/v2/calls/{id}/file", r.serveFile)
	r.mux.HandleFunc("GET /api/v2/calls/{id}/file_url.json", r.serveLink)
	r.mux.HandleFunc("GET /calls/file/{id}/signed", r.serveSigned)
	return r
}

// A resource is one of what the recorder has about a call.
type resource struct{ kind, id string }

const (
	callData = "call"
	callFile = "file"
	callLink = "link"
)

// Set adds a call or replaces the one with the same ID. A call with Raw is
// served as that, any other in the recorder's shape.
func (r *Recorder) Set(call metadata.Call) {
	answer := call.Raw
	if answer == nil {
		answer = encode(call)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[call.ID] = answer
}

// SetCatalog serves the calls of a catalog too, but for those of Set and Remove.
func (r *Recorder) SetCatalog(c *metadata.Catalog) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.catalog = c
}

// Remove makes a call unknown.
func (r *Recorder) Remove(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[id] = nil
}

// Fail makes requests for the metadata of the call id go wrong from now on; "" is
// for all calls that have no fault of their own. A nil fault mends it.
func (r *Recorder) Fail(id string, fault Fault) { r.fail(callData, id, fault) }

func (r *Recorder) fail(kind, id string, fault Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults[resource{kind, id}] = fault
}

// Requests returns how often the metadata of the call id was asked for, failures
// included; "" is for all calls together.
func (r *Recorder) Requests(id string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id != "" {
		return r.requests[id]
	}
	sum := 0
	for _, n := range r.requests {
		sum += n
	}
	return sum
}

// MostAtOnce returns how many requests have been under way at the same time.
func (r *Recorder) MostAtOnce() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.most
}

// ServeHTTP is the API.
func (r *Recorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mux.ServeHTTP(w, request)
}

func (r *Recorder) serveCall(w http.ResponseWriter, request *http.Request) {
	id, ok := strings.CutSuffix(request.PathValue("id"), ".json")
	if !ok {
		http.NotFound(w, request)
		return
	}
	fault := r.begin(id)
	defer r.end()
	fault.wrap(func(w http.ResponseWriter, request *http.Request) { r.answer(w, request, id) }).ServeHTTP(w, request)
}

func (r *Recorder) begin(id string) Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests[id]++
	r.running++
	r.most = max(r.most, r.running)
	return r.faultOf(callData, id)
}

// faultOf is called with r.mu held.
func (r *Recorder) faultOf(kind, id string) Fault {
	if fault := r.faults[resource{kind, id}]; fault != nil {
		return fault
	}
	return r.faults[resource{kind, ""}]
}

func (r *Recorder) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running--
}

// answer is what the recorder does if all is well.
func (r *Recorder) answer(w http.ResponseWriter, request *http.Request, id string) {
	if !r.login(w, request) {
		return
	}
	answer := r.lookup(request.Context(), id)
	if answer == nil {
		http.Error(w, "<h1>Not Found</h1>", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(answer)
}

// login answers a request that comes without the right account.
func (r *Recorder) login(w http.ResponseWriter, request *http.Request) bool {
	username, password, _ := request.BasicAuth()
	if subtle.ConstantTimeCompare([]byte(username+":"+password), []byte(r.username+":"+r.password)) == 1 {
		return true
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="recorder"`)
	http.Error(w, "login required", http.StatusUnauthorized)
	return false
}

func (r *Recorder) lookup(ctx context.Context, id string) json.RawMessage {
	r.mu.Lock()
	defer r.mu.Unlock()
	if answer, ok := r.answers[id]; ok || r.catalog == nil {
		return answer
	}
	call, err := r.catalog.Call(ctx, id)
	if err != nil {
		return nil
	}
	return call.Raw
}

// encode writes a call as the recorder does. A time that is zero is left out.
func encode(call metadata.Call) json.RawMessage {
	type object = map[string]any
	files := []object{}
	for _, f := range call.Files {
		file := object{"file_id": f.ID, "file_size": f.Size, "file_path": f.Path}
		if f.Encrypted {
			file["encrypted"] = true
		}
		setTime(file, "start_time", f.Start)
		setTime(file, "stop_time", f.Stop)
		files = append(files, file)
	}
	c := object{"call_id": call.ID, "from_number": call.From, "to_number": call.To, "files": files}
	if call.State != 0 {
		c["call_state"] = call.State
	}
	if call.Duration != 0 {
		c["duration"] = call.Duration.Seconds()
	}
	setTime(c, "start_time", call.Start)
	setTime(c, "stop_time", call.Stop)
	answer, err := json.Marshal(object{"call": c})
	if err != nil {
		panic(err) // maps, strings and finite numbers cannot fail
	}
	return answer
}

func setTime(object map[string]any, name string, t time.Time) {
	if !t.IsZero() {
		object[name] = t.Format("2006-01-02T15:04:05-0700")
	}
}
