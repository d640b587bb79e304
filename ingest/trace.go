package ingest

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/ingest/spool"
)

// tracing makes a span of a message, from its receipt to its acknowledgement, and one of a batch, which links the sampled spans of
// the messages that it carries. A nil tracer makes none, and costs nothing.
type tracing struct {
	tracer trace.Tracer
	lane   uint32

	mu    sync.Mutex
	spans map[uint64]trace.SpanContext // sampled, by the frame's sequence in the spool
}

const (
	maxSpans = 4096 // sampled messages of a lane that wait for their batch; beyond it they go without a link
	maxLinks = 128  // of a batch, as many as the SDK keeps
)

// received ends a message's story at ingest: accepted frames are remembered for their batch.
func (t *tracing) received(ctx context.Context, r *judged, sequence uint64) {
	if t == nil || t.tracer == nil {
		return
	}
	_, span := t.tracer.Start(ctx, "ingest.receive", trace.WithTimestamp(r.arrived), trace.WithSpanKind(trace.SpanKindConsumer), trace.WithNewRoot())
	defer span.End()
	if !span.SpanContext().IsSampled() {
		return
	}
	span.SetAttributes(
		attribute.String("messaging.system", "mqtt"), attribute.String("messaging.destination.name", r.topic), attribute.Int("messaging.message.body.size", len(r.body)),
		attribute.Int64("trailmark.lane", int64(t.lane)), attribute.String("trailmark.verdict", r.verdict.String()),
	)
	if r.verdict != provenance.Accepted {
		span.SetStatus(codes.Error, r.detail)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.spans == nil {
		t.spans = map[uint64]trace.SpanContext{}
	}
	if len(t.spans) >= maxSpans {
		clear(t.spans) // of frames that went another way, or of a backlog
	}
	t.spans[sequence] = span.SpanContext()
}

// batch begins the span of a batch; end it with what became of it. The messages' spans are linked then, when they have surely ended.
func (t *tracing) batch(ctx context.Context, frames []spool.Frame) (context.Context, func(error)) {
	if t == nil || t.tracer == nil {
		return ctx, func(error) {}
	}
	ctx, span := t.tracer.Start(ctx, "ingest.batch", trace.WithSpanKind(trace.SpanKindProducer), trace.WithNewRoot(),
		trace.WithAttributes(attribute.Int64("trailmark.lane", int64(t.lane)), attribute.Int("trailmark.frames", len(frames))))
	return ctx, func(err error) {
		defer span.End()
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
			return
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		links := 0
		for _, f := range frames {
			sc, ok := t.spans[f.Sequence]
			if ok {
				delete(t.spans, f.Sequence)
			}
			if ok && links < maxLinks {
				span.AddLink(trace.Link{SpanContext: sc})
				links++
			}
		}
	}
}
