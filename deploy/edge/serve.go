package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Run runs an edge until ctx ends, with metrics and health over HTTP where the configuration asks for them.
func Run(ctx context.Context, config Config, log *slog.Logger) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	e, err := New(ctx, config, Options{Log: log, Registerer: registry})
	if err != nil {
		return err
	}
	if config.Listen != "" {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", config.Listen)
		if err != nil {
			return errors.Join(fmt.Errorf("listening for metrics: %w", err), e.close())
		}
		server := &http.Server{Handler: e.handler(registry), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
		go func() { _ = server.Serve(listener) }() // ends with Close
		defer server.Close()
	}
	return e.Run(ctx)
}

func (e *Edge) handler(gatherer prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ready, reasons := e.Ready(); !ready {
			http.Error(w, strings.Join(reasons, "\n"), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	return mux
}
