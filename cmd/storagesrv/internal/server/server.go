// Package server answers HTTP requests for call recordings.
//
// One request, top to bottom: it is let in or not, its id is looked up, a file
// of the call picked, opened and proved to be media, and then handed to
// http.ServeContent:
//
//	s := server.New(server.Config{Calls: calls, Recordings: router})
//	l, err := server.Listen(ctx, ":8080")
//	public := http.Server{Handler: s, ConnContext: server.ConnContext}
//	public.Serve(l)
//	http.Serve(private, s.Admin())
//
// Handlers return errors. One adapter (request.go) turns them into problem
// documents by one table (problem.go), log records and metrics.
package server

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"storagesrv/cmd/storagesrv/internal/access"
	"storagesrv/cmd/storagesrv/internal/audit"
	"storagesrv/metadata"
	"storagesrv/storage"
	"storagesrv/storage/media"
)

// Calls knows calls, and can be made to ask again.
type Calls interface {
	metadata.Source
	// Refresh returns the call as the recorder knows it now, after seen.
	Refresh(ctx context.Context, seen *metadata.Call) (*metadata.Call, error)
}

// Config is what a Server needs. Only Calls and Recordings are required.
type Config struct {
	Calls      Calls
	Recordings *storage.Router

	Access *access.Policy // who may play what; nil: everyone all
	API    *access.Policy // who may use the paths of the recorder's API; nil: nobody
	Links  *access.Keys   // of signed links; nil: there are none
	Public *access.Origin // where links lead; nil: to where the request for one came

	CORSOrigins []string // whose pages may read what they are answered, as browsers spell them

	MaxStreams          int      // recordings that are sent at a time; 0 = any number
	MaxStreamsPerClient int      // to one address, but for callers with a token; 0 = any number
	Fallback            Fallback // for recordings that cannot be played from the storage

	CacheControl string               // of settled recordings; "" means "private, max-age=60"
	Headerless   []string             // extensions, with dots, that are served without proof
	StallTimeout time.Duration        // a client that takes nothing for this long is cut; 0 means 1 min
	Proxies      []netip.Prefix       // who may say on whose behalf a request comes
	Log          *slog.Logger         // nil: nothing is logged
	Metrics      *prometheus.Registry // nil: metrics are kept and shown nowhere
	Audit        *audit.Log           // nil: none
	OnResume     func(store string)   // told of a stream that goes on in a store after another one failed; may be nil
}

// A Server is the public http.Handler.
type Server struct {
	config    Config
	log       *slog.Logger
	metrics   *metrics
	fallbacks *fallbackMetrics
	verdicts  *media.Verdicts
	routes    http.Handler
	streams   atomic.Int64  // recordings being sent
	slots     slots         // for those
	infos     chan struct{} // holds a token for each file that /info looks at
	watch     hangWatch
	draining  atomic.Bool
}

// New returns a Server. It observes the Router, which must not be in use yet.
func New(config Config) *Server {
	if config.CacheControl == "" {
		config.CacheControl = "private, max-age=60"
	}
	if config.StallTimeout == 0 {
		config.StallTimeout = time.Minute
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Metrics == nil {
		config.Metrics = prometheus.NewRegistry()
	}
	if config.Access == nil {
		config.Access = access.NewPolicy(access.NewFailures(), true)
	}
	if config.API == nil {
		config.API = access.NewPolicy(access.NewFailures(), false, access.Tokens{OfferBasic: true})
	}
	if config.OnResume == nil {
		config.OnResume = func(string) {}
	}
	s := &Server{
		config:   config,
		log:      config.Log,
		metrics:  newMetrics(config.Metrics),
		verdicts: media.NewVerdicts(rememberedVerdicts),
		infos:    make(chan struct{}, infosAtOnce),
		slots:    slots{most: config.MaxStreams, mostEach: config.MaxStreamsPerClient, each: make(map[string]int)},
	}
	s.fallbacks = newFallbackMetrics(config.Metrics, config.Fallback, s.metrics)
	s.metrics.watchStores(config.Metrics, config.Recordings)
	s.metrics.watchStreams(config.Metrics, s.Streams)
	config.Recordings.Observe = s.metrics.opened
	s.routes = s.cors(s.newRoutes())
	return s
}

// rememberedVerdicts is how many recordings need no proof when they are asked
// for again; one takes about 300 bytes.
const rememberedVerdicts = 50_000

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.routes.ServeHTTP(w, r) }

// Drain makes /readyz say that this server is about to end.
func (s *Server) Drain() { s.draining.Store(true) }

// OnlyHanging returns a channel that is closed when all requests that are left
// hang in a dead mount: there is nobody to wait for, whose clients were freed.
func (s *Server) OnlyHanging() <-chan struct{} { return s.watch.onlyHanging() }

// Streams returns how many recordings are being sent.
func (s *Server) Streams() int { return int(s.streams.Load()) }
