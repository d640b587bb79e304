package api

import (
	"compress/gzip"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/trailmark/trailmark/web"
)

// server answers the operations of the specification.
type server struct {
	*Service
	board  *board // nil without a store, as live without changes
	live   *live
	totals totals
}

// New makes the handler of everything that a node serves over HTTP. What it keeps in memory of the ledger's content it reads when it
// is first asked for.
func New(service *Service) (http.Handler, error) {
	doc, err := loadSpecification()
	if err != nil {
		return nil, err
	}
	s := &server{Service: service}
	if service.Store != nil {
		s.board = newBoard(service.Store)
		if service.Changes != nil {
			s.live = newLive(s)
		}
	}
	operations := &checkedMux{ServeMux: http.NewServeMux(), server: s, doc: doc}
	HandlerWithOptions(NewStrictHandlerWithOptions(s, nil, StrictHTTPServerOptions{
		RequestErrorHandlerFunc: func(w http.ResponseWriter, r *http.Request, err error) {
			s.writeProblem(w, r, invalid("The body is not what the operation takes: "+shortened(err.Error())))
		},
		ResponseErrorHandlerFunc: s.writeProblem,
	}), StdHTTPServerOptions{
		BaseURL: basePath, BaseRouter: operations,
		ErrorHandlerFunc: func(w http.ResponseWriter, r *http.Request, err error) { s.writeProblem(w, r, explainBinding(err)) },
	})
	root := http.NewServeMux()
	root.Handle("/api/", apiHeaders(s.authenticated(s.found(operations.ServeMux))))
	root.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	root.HandleFunc("GET /readyz", s.readyz)
	if service.Metrics != nil {
		root.Handle("GET /metrics", s.localOrKnown(promhttp.HandlerFor(service.Metrics, promhttp.HandlerOpts{})))
	}
	root.Handle("/", newPage(web.Files(), web.Built()))
	compress, err := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.CompressionLevel(gzip.BestSpeed), gzhttp.ContentTypes([]string{
		"application/json", "application/problem+json", "text/html", "text/css", "text/javascript", "text/plain", "image/svg+xml", "application/wasm",
	}))
	if err != nil {
		return nil, fmt.Errorf("setting up compression: %w", err)
	}
	compressed := compress(root)
	return s.recovered(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == basePath+"/stream" { // every event has to leave at once
			root.ServeHTTP(w, r)
			return
		}
		compressed.ServeHTTP(w, r)
	})), nil
}

// found answers for operations that do not exist.
func (s *server) found(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			s.writeProblem(w, r, &failure{NotFound, fmt.Sprintf("There is no operation %s %s.", r.Method, shortened(r.URL.Path)), "The operations are listed in openapi.yaml."})
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// recovered turns a panic into a problem, so that one request's bad luck is in the log with its path.
func (s *server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				s.writeProblem(w, r, fmt.Errorf("panic: %v", p))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// apiHeaders: answers are of the moment and for one person.
func apiHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		next.ServeHTTP(w, r)
	})
}

// localOrKnown lets through who asks from this machine, or brings a token.
func (s *server) localOrKnown(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, known := s.Tokens.identify(r); known || fromHere(r) {
			next.ServeHTTP(w, r)
			return
		}
		s.writeProblem(w, r, &failure{Unauthorised, "Metrics are given to this machine, and to requests with a token.", ""})
	})
}

// fromHere: the peer is this machine, and no proxy speaks for another.
func fromHere(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" {
		return false
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

func (s *server) readyz(w http.ResponseWriter, _ *http.Request) {
	if s.Ready != nil {
		if ready, reasons := s.Ready(); !ready {
			plain(w, http.StatusServiceUnavailable, "not ready\n"+strings.Join(reasons, "\n"))
			return
		}
	}
	plain(w, http.StatusOK, "ready")
}

func plain(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text)
}

// value is what an optional parameter says, or the zero value.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

const (
	defaultInPage = 100
	mostInPage    = 500
)

func limit(asked *PageLimit) int {
	if asked == nil {
		return defaultInPage
	}
	return int(*asked)
}
