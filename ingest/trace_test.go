package ingest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

func TestABatchLinksTheMessagesThatItCarries(t *testing.T) {
	b := newBench(t, 1)
	s := newSensor(t, b.ledger, "s1", 0)
	recorder := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder))
	r := b.startWith(b.config("one"), Deps{Tracer: provider.Tracer("ingest")})
	b.publish(40, s)
	b.complete(s)
	client := b.publisher(s)
	token := client.Publish(s.topic(), 1, false, "no frame")
	require.True(t, token.WaitTimeout(10*time.Second) && token.Error() == nil)
	eventually(t, "the refused message's span", func() bool {
		return len(spansOf(recorder, "ingest.receive")) == 41
	})
	r.stop()
	received := map[trace.SpanID]bool{}
	refused := 0
	for _, span := range spansOf(recorder, "ingest.receive") {
		verdict := attributeOf(span, "trailmark.verdict")
		if verdict.AsString() == "accepted" {
			received[span.SpanContext().SpanID()] = true
		} else {
			refused++
			require.Equal(t, "malformed", verdict.AsString())
		}
		require.False(t, span.EndTime().Before(span.StartTime()))
	}
	require.Equal(t, 1, refused)
	linked := map[trace.SpanID]bool{}
	for _, span := range spansOf(recorder, "ingest.batch") {
		for _, link := range span.Links() {
			require.True(t, received[link.SpanContext.SpanID()])
			require.False(t, linked[link.SpanContext.SpanID()], "a message is in one batch")
			linked[link.SpanContext.SpanID()] = true
		}
	}
	require.Len(t, linked, 40)
}

func spansOf(recorder *tracetest.SpanRecorder, name string) (list []sdk.ReadOnlySpan) {
	for _, span := range recorder.Ended() {
		if span.Name() == name {
			list = append(list, span)
		}
	}
	return list
}

func attributeOf(span sdk.ReadOnlySpan, key attribute.Key) attribute.Value {
	for _, a := range span.Attributes() {
		if a.Key == key {
			return a.Value
		}
	}
	return attribute.Value{}
}
