package api_test

import (
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger/ledgertest"
)

// TestChartLatency measures a chart of 30 days of ten sensors, with a reading a minute, through the whole handler:
// TRAILMARK_MEASURE=1 go test -run TestChartLatency -v ./gateway/api
func TestChartLatency(t *testing.T) {
	if os.Getenv("TRAILMARK_MEASURE") == "" {
		t.Skip("set TRAILMARK_MEASURE=1 to measure")
	}
	n := newNode(t, nil)
	names := make([]string, 10)
	for i := range names {
		names[i] = ledgertest.Name("logger", i)
	}
	n.chain.Register("CarrierMSP")
	n.chain.Register("MakerMSP")
	n.chain.Enrol("CarrierMSP", 0, names...)
	n.open(milk(func(s *provenance.Shipment) {
		s.Attachments = nil
		for _, name := range names {
			s.Attachments = append(s.Attachments, provenance.Attachment{Device: name, From: start})
		}
	}))
	n.cut()
	for h := range 30 * 24 {
		var frames []ledgertest.Frame
		for i, name := range names {
			values := make([]float64, 60)
			for k := range values {
				values[k] = 4.5 + 2*math.Sin(float64(h*60+k)/200+float64(i))
			}
			frames = append(frames, ledgertest.Frame{Device: name, Sequence: uint64(h + 1), Readings: series(start+provenance.Time(h)*hour, values...)})
		}
		n.record(frames...)
		n.cut()
	}
	began := time.Now()
	require.EqualValues(t, 432_000, n.summary().Readings)
	t.Logf("first judgement of 432,000 readings: %s", time.Since(began))
	for _, c := range []struct{ name, path string }{
		{"30 days, chosen step", "/shipments/milk-1/readings"},
		{"30 days, 10 minutes", "/shipments/milk-1/readings?resolution=600"},
		{"a day, every reading", "/shipments/milk-1/readings?resolution=0&from=" + (start + 240*hour).String() + "&to=" + (start + 264*hour).String()},
		{"the shipment", "/shipments/milk-1"},
		{"the list", "/shipments"},
		{"30 days, after a block", ""},
	} {
		var taken []time.Duration
		for i := range 200 {
			url := c.path
			if url == "" {
				url = "/shipments/milk-1/readings"
				n.record(ledgertest.Frame{Device: names[0], Sequence: uint64(721 + i), Readings: series(start+provenance.Time(720+i)*hour, 4)})
				n.cut()
			}
			request := httptest.NewRequest(http.MethodGet, "/api/v1"+url, nil)
			request.Header.Set("Authorization", "Bearer "+officer)
			request.Header.Set("Accept-Encoding", "gzip")
			recorder := httptest.NewRecorder()
			from := time.Now()
			n.handler.ServeHTTP(recorder, request)
			taken = append(taken, time.Since(from))
			require.Equal(t, http.StatusOK, recorder.Code)
			if i == 0 {
				t.Logf("%s: %d bytes compressed", c.name, recorder.Body.Len())
			}
		}
		slices.Sort(taken)
		t.Logf("%s: median %s, p99 %s", c.name, taken[len(taken)/2], taken[len(taken)*99/100])
	}
}
