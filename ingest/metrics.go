package ingest

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trailmark/trailmark/ingest/quarantine"
	"github.com/trailmark/trailmark/ingest/spool"
)

type metrics struct {
	received, accepted, redelivered, handedOver prometheus.Counter
	quarantined                                 *prometheus.CounterVec // by reason
	batches, batchFrames, batchBytes            prometheus.Counter
	retries                                     *prometheus.CounterVec // by cause
	commitSeconds, recordSeconds                prometheus.Histogram
	lanesOwned, inFlight                        prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer, budget *spool.Budget, store *quarantine.Store, oldest, pending func() float64) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "trailmark", Subsystem: "ingest", Name: name, Help: help})
	}
	vector := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "trailmark", Subsystem: "ingest", Name: name, Help: help}, []string{label})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "trailmark", Subsystem: "ingest", Name: name, Help: help})
	}
	function := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "trailmark", Subsystem: "ingest", Name: name, Help: help}, f)
	}
	histogram := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "trailmark", Subsystem: "ingest", Name: name, Help: help,
			Buckets: []float64{.025, .05, .1, .2, .3, .45, .7, 1.2, 2, 4, 8, 16, 60, 600},
		})
	}
	m := &metrics{
		received:      counter("messages_received_total", "Messages received from the broker, redeliveries included."),
		accepted:      counter("frames_accepted_total", "Frames verified and spooled."),
		redelivered:   counter("frames_redelivered_total", "Frames received again while they were known."),
		handedOver:    counter("frames_handed_over_total", "Frames given back to the broker for a lane's new owner."),
		quarantined:   vector("messages_quarantined_total", "Messages refused, by reason.", "reason"),
		batches:       counter("batches_committed_total", "Batches seen valid in a block."),
		batchFrames:   counter("frames_committed_total", "Frames recorded by those batches."),
		batchBytes:    counter("batch_bytes_total", "Bytes of the arguments of those batches."),
		retries:       vector("commit_retries_total", "Submissions that had to be repeated, by cause.", "cause"),
		commitSeconds: histogram("commit_seconds", "From a batch's first submission to its block."),
		recordSeconds: histogram("record_seconds", "From the receipt of a batch's oldest frame to its block."),
		lanesOwned:    gauge("lanes_owned", "Lanes that this instance owns."),
		inFlight:      gauge("batches_in_flight", "Batches submitted and not yet seen in a block."),
	}
	collectors := []prometheus.Collector{
		m.received, m.accepted, m.redelivered, m.handedOver, m.quarantined, m.batches, m.batchFrames, m.batchBytes, m.retries,
		m.commitSeconds, m.recordSeconds, m.lanesOwned, m.inFlight,
		function("spool_bytes", "Bytes of the spool on disk.", func() float64 { return float64(budget.Used()) }),
		function("spool_limit_bytes", "Bytes that the spool may have.", func() float64 { return float64(budget.Limit()) }),
		function("spool_frames", "Frames in the spool that no block holds yet.", pending),
		function("spool_oldest_seconds", "Age of the oldest frame that waits for its batch.", oldest),
		function("quarantine_entries", "Entries in the quarantine.", func() float64 { return float64(store.Stats().Entries) }),
		function("quarantine_bytes", "Bytes in the quarantine.", func() float64 { return float64(store.Stats().Bytes) }),
		function("quarantine_archived", "Entries moved to the quarantine's archive since the start.", func() float64 { return float64(store.Stats().Archived) }),
		function("quarantine_dropped", "Archived entries deleted to make room since the start.", func() float64 { return float64(store.Stats().Dropped) }),
	}
	for i, collector := range collectors {
		if err := registerer.Register(collector); err != nil {
			for _, registered := range collectors[:i] {
				registerer.Unregister(registered)
			}
			return nil, err
		}
	}
	return m, nil
}
