package telemetry

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpansGoWhereTheEnvironmentSays(t *testing.T) {
	var found atomic.Bool
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		found.Store(r.URL.Path == "/v1/traces" && strings.Contains(string(body), "a span") && strings.Contains(string(body), "trailmark-test"))
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_TRACES_SAMPLER", "always_on")
	tracer, stop, err := Start(context.Background(), "trailmark-test", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	_, span := tracer.Start(context.Background(), "a span")
	span.End()
	require.NoError(t, stop(context.Background()))
	require.True(t, found.Load())
}

func TestWithoutTheEnvironmentNothingIsTraced(t *testing.T) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"} {
		t.Setenv(name, "")
	}
	tracer, stop, err := Start(context.Background(), "x", nil)
	require.NoError(t, err)
	require.Nil(t, tracer)
	require.NoError(t, stop(context.Background()))
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	on, err := wanted()
	require.NoError(t, err)
	require.True(t, on)
	t.Setenv("OTEL_SDK_DISABLED", "true")
	on, err = wanted()
	require.NoError(t, err)
	require.False(t, on)
	t.Setenv("OTEL_SDK_DISABLED", "")
	t.Setenv("OTEL_TRACES_EXPORTER", "zipkin")
	_, err = wanted()
	require.ErrorContains(t, err, "zipkin is not built in")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	_, err = wanted()
	require.ErrorContains(t, err, "http/protobuf is")
}
