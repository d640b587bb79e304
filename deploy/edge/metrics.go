package edge

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	messages, readings, duplicates, unmapped, frames, published prometheus.Counter
	refused                                                     prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer, e *Edge) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "trailmark", Subsystem: "edge", Name: name, Help: help})
	}
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "trailmark", Subsystem: "edge", Name: name, Help: help}, f)
	}
	m := &metrics{
		messages:   counter("messages_total", "Messages taken from sensors that cannot sign."),
		readings:   counter("readings_total", "Readings taken."),
		duplicates: counter("readings_duplicate_total", "Readings that were taken before."),
		unmapped:   counter("measurements_unmapped_total", "Measurements that no rule maps to a device."),
		refused:    counter("messages_quarantined_total", "Messages of which some or all went to the quarantine."),
		frames:     counter("frames_signed_total", "Frames signed."),
		published:  counter("frames_published_total", "Frames that Trailmark's broker has acknowledged."),
	}
	if registerer == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.messages, m.readings, m.duplicates, m.unmapped, m.refused, m.frames, m.published,
		gauge("outbox_readings", "Readings that Trailmark's broker has not acknowledged.", func() float64 { return float64(e.unpublished()) }),
		gauge("outbox_limit_readings", "Most readings that the outbox takes.", func() float64 { return float64(e.config.MaxReadings) }),
	} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) count(what *meaning, result *stored) {
	m.messages.Inc()
	m.readings.Add(float64(len(result.fresh)))
	m.duplicates.Add(float64(result.duplicates))
	m.unmapped.Add(float64(what.unmapped))
	if len(what.problems)+len(result.conflicts) > 0 {
		m.refused.Inc()
	}
}
