package projector

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/gateway/readmodel"
)

func TestASlowSubscriberIsToldToReadAnew(t *testing.T) {
	var s subscribers
	ctx, cancel := context.WithCancel(context.Background())
	slow := s.Subscribe(ctx)
	block := func(n uint64) []readmodel.Change {
		return []readmodel.Change{{Kind: readmodel.ChangedBlock, Block: n}}
	}
	for n := range uint64(1000) {
		s.publish(block(n))
	}
	for want := range uint64(subscriberBuffer - 1) {
		require.Equal(t, readmodel.Change{Kind: readmodel.ChangedBlock, Block: want}, <-slow)
	}
	require.Equal(t, readmodel.Change{Kind: readmodel.Resync, Block: subscriberBuffer - 1}, <-slow)
	require.Empty(t, slow, "then nothing, until it has read up")
	s.publish(block(1000))
	require.Equal(t, readmodel.Change{Kind: readmodel.ChangedBlock, Block: 1000}, <-slow)
	cancel()
	_, open := <-slow
	require.False(t, open)
	s.publish(block(1001)) // to nobody
}
