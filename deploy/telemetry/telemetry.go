// Package telemetry sends traces where OpenTelemetry's standard environment variables say. Without any of them nothing is traced and
// nothing is sent: OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) turns it on, as does OTEL_TRACES_EXPORTER=otlp for a collector on
// this machine. OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG, OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME, OTEL_BSP_*, OTEL_EXPORTER_OTLP_HEADERS and the
// like are the SDK's own; OTEL_SDK_DISABLED=true turns all off. OTLP goes over HTTP with protobuf. It imports nothing of ours.
package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// defaultRatio is the part of messages that is traced unless OTEL_TRACES_SAMPLER says otherwise: enough to see where time goes, and
// little beside what a message costs.
const defaultRatio = 0.001

// Start gives a tracer of a service, and what sends the rest and stops; a nil tracer where the environment asks for no traces.
func Start(ctx context.Context, service string, log *slog.Logger) (trace.Tracer, func(context.Context) error, error) {
	nothing := func(context.Context) error { return nil }
	on, err := wanted()
	if err != nil || !on {
		return nil, nothing, err
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, nothing, fmt.Errorf("making the exporter of traces: %w", err)
	}
	// What the environment says goes before our name of the service.
	who, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", service)), resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv())
	if err != nil {
		return nil, nothing, fmt.Errorf("describing ourselves for traces: %w", err)
	}
	options := []sdk.TracerProviderOption{sdk.WithBatcher(exporter), sdk.WithResource(who)}
	if os.Getenv("OTEL_TRACES_SAMPLER") == "" {
		options = append(options, sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(defaultRatio))))
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("sending traces", slog.Any("error", err)) }))
	provider := sdk.NewTracerProvider(options...)
	return provider.Tracer("github.com/trailmark/trailmark"), provider.Shutdown, nil
}

// wanted reads the variables that turn tracing on and off.
func wanted() (bool, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if protocol := os.Getenv(name); protocol != "" {
			if protocol != "http/protobuf" {
				return false, fmt.Errorf("%s=%s is not built in; http/protobuf is", name, protocol)
			}
			break
		}
	}
	switch exporter := os.Getenv("OTEL_TRACES_EXPORTER"); exporter {
	case "otlp":
		return true, nil
	case "none":
		return false, nil
	case "":
		return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "", nil
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER=%s is not built in; otlp and none are", exporter)
	}
}
