package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/api"
	"github.com/trailmark/trailmark/gateway/ledger/ledgertest"
)

// listener reads a live stream.
type listener struct {
	t      *testing.T
	lines  chan string
	cancel func()
}

type heard struct{ id, name, data string }

func (n *node) listen(url, last string) *listener {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/v1/stream", nil)
	require.NoError(n.t, err)
	request.Header.Set("Authorization", "Bearer "+reader)
	if last != "" {
		request.Header.Set("Last-Event-ID", last)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(n.t, err)
	require.Equal(n.t, http.StatusOK, response.StatusCode)
	require.Equal(n.t, "text/event-stream", response.Header.Get("Content-Type"))
	require.Equal(n.t, "no-store", response.Header.Get("Cache-Control"))
	l := &listener{t: n.t, lines: make(chan string, 1000), cancel: cancel}
	go func() {
		defer close(l.lines)
		defer func() { _ = response.Body.Close() }()
		scanner := bufio.NewScanner(response.Body)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			l.lines <- scanner.Text()
		}
	}()
	n.t.Cleanup(func() {
		cancel()
		for range l.lines {
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return l
}

func (l *listener) line() string {
	l.t.Helper()
	select {
	case line, open := <-l.lines:
		require.True(l.t, open, "the stream has ended")
		return line
	case <-time.After(8 * time.Second):
		l.t.Fatal("nothing came")
		return ""
	}
}

func (l *listener) next() (h heard) {
	l.t.Helper()
	for {
		line := l.line()
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "id":
			h.id = value
		case "event":
			h.name = value
		case "data":
			h.data = value
		case "":
			if h.name != "" {
				return h
			}
		}
	}
}

func (n *node) serve() string {
	server := httptest.NewServer(n.handler)
	n.t.Cleanup(server.Close)
	return server.URL
}

func parsed[T any](t *testing.T, h heard) (v T) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(h.data), &v))
	return v
}

func TestTellsOfABlockInOrder(t *testing.T) {
	n := newNode(t, nil)
	n.members()
	n.open(milk(nil))
	n.cut()
	l := n.listen(n.serve(), "")
	first := l.next()
	require.Equal(t, "block", first.name)
	require.EqualValues(t, 2, parsed[api.StreamBlock](t, first).Number)
	require.EqualValues(t, 1, parsed[api.StreamBlock](t, first).Transactions)

	n.chain.Enrol("CarrierMSP", 0, "logger-9")
	n.record(ledgertest.Frame{Device: "logger-1", Sequence: 1, Readings: series(start, 4, 7), Late: true})
	n.raise(alert("a", provenance.KindAnomaly, nil))
	position, err := n.store.Position(t.Context())
	require.NoError(t, err)
	n.chain.Anchor("CarrierMSP", position.LogSize, position.LogRoot)
	n.cut()
	var names []string
	for {
		h := l.next()
		names = append(names, h.name)
		switch h.name {
		case "shipment":
			s := parsed[api.ShipmentSummary](t, h)
			require.Equal(t, api.Act, s.State)
			require.EqualValues(t, 2, s.Readings)
		case "readings":
			require.Equal(t, api.StreamReadings{Shipment: "milk-1", From: start.Time(), To: (start + minute).Time(), Backfilled: true}, parsed[api.StreamReadings](t, h))
		case "alert":
			require.Equal(t, "a", parsed[api.Alert](t, h).Id)
		case "device":
			require.Equal(t, "logger-9", parsed[api.Device](t, h).Id)
		case "checkpoint":
			require.Equal(t, api.Agrees, parsed[api.Checkpoint](t, h).Agreement)
		}
		if h.name == "block" {
			break
		}
	}
	require.Equal(t, []string{"shipment", "readings", "alert", "device", "checkpoint", "block"}, names)
}

func TestResumesWhereAReaderWas(t *testing.T) {
	n := newNode(t, nil)
	n.members()
	n.open(milk(nil))
	n.cut()
	url := n.serve()
	l := n.listen(url, "")
	first := l.next()
	l.cancel()
	for i := range 3 { // while it is away
		n.record(ledgertest.Frame{Device: "logger-1", Sequence: uint64(i + 1), Readings: series(start+provenance.Time(i)*hour, 4)})
		n.cut()
	}
	l = n.listen(url, first.id)
	var readings []api.StreamReadings
	var middle heard
	for blocks := 0; blocks < 3; {
		h := l.next()
		require.NotEqual(t, "resync", h.name)
		switch h.name {
		case "readings":
			readings = append(readings, parsed[api.StreamReadings](t, h))
		case "block":
			if blocks++; blocks == 2 {
				middle = h
			}
		}
	}
	require.Len(t, readings, 3)
	l.cancel()
	l = n.listen(url, middle.id) // in the middle: what comes after it, once
	require.Equal(t, "shipment", l.next().name)
	require.Equal(t, (start + 2*hour).Time(), parsed[api.StreamReadings](t, l.next()).From)
	require.Equal(t, "block", l.next().name)

	for _, id := range []string{"another-17", "nonsense", strings.Split(first.id, "-")[0] + "-99999"} {
		other := n.listen(url, id)
		require.Equal(t, "resync", other.next().name, id)
		other.cancel()
	}
}

func TestBeatsWhileNothingHappens(t *testing.T) {
	n := newNode(t, nil)
	n.members()
	l := n.listen(n.serve(), "")
	require.Equal(t, "block", l.next().name)
	from := time.Now()
	require.Equal(t, ": alive", l.line())
	require.Less(t, time.Since(from), 7*time.Second)
}

func TestStreamsEndWithTheNode(t *testing.T) {
	n := newNode(t, nil)
	n.members()
	l := n.listen(n.serve(), "")
	require.Equal(t, "block", l.next().name)
	n.ending <- struct{}{} // as good as closed for one of the two that wait
	n.ending <- struct{}{}
	for line := range l.lines {
		require.Empty(t, line)
	}
}

// A reader that takes nothing holds up neither the others nor the node.
func TestASlowReaderIsItsOwnProblem(t *testing.T) {
	n := newNode(t, nil)
	n.members()
	n.open(milk(nil))
	n.cut()
	url := n.serve()
	slow, fast := n.listen(url, ""), n.listen(url, "")
	require.Equal(t, "block", fast.next().name)
	for i := range 100 {
		n.record(ledgertest.Frame{Device: "logger-1", Sequence: uint64(i + 1), Readings: series(start+provenance.Time(i)*hour, 4)})
		n.cut()
		for fast.next().name != "block" {
		}
	}
	slow.cancel()
}
