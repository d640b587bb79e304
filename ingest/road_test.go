package ingest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/trailmark/trailmark/ingest/quarantine"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("modernc.org/sqlite.(*conn).interrupt"),
		goleak.IgnoreAnyFunction("github.com/klauspost/compress/zstd.(*blockDec).startDecoder"))
}

func TestRoad(t *testing.T) {
	b := newBench(t, 2)
	sensors := []*sensor{newSensor(t, b.ledger, "a.1", 0), newSensor(t, b.ledger, "b", 1), newSensor(t, b.ledger, "c", 1)}
	b.publish(50, sensors...) // before any ingest was ever up
	r := b.start(b.config("one"))
	b.complete(sensors...)
	b.publish(200, sensors...)
	b.complete(sensors...)
	require.Equal(t, []uint32{0, 1}, r.Lanes())
	eventually(t, "ready", func() bool { ok, _ := r.Ready(); return ok })
	page, err := r.Quarantine().List(context.Background(), quarantine.Filter{})
	require.NoError(t, err)
	require.Empty(t, page.Entries)
	eventually(t, "spool is drained", func() bool { return r.pending() == 0 })
}
