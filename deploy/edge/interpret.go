package edge

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/edge/senml"
	"github.com/trailmark/trailmark/deploy/edge/sparkplug"
)

// interpreter turns messages into readings of our devices.
type interpreter struct {
	mapping *mapping
	nodes   *sparkplug.Nodes
	seen    func(ctx context.Context, digest []byte) (bool, error) // whether a message relative to its receipt was taken
	unknown map[string]bool                                        // measurements without a rule that were told of
}

// maxUnknown bounds the measurements without a rule that are told of one by one.
const maxUnknown = 10_000

// meaning is what a message came to.
type meaning struct {
	taken
	problems []string         // why some or all of it cannot be used
	unmapped int              // measurements without a rule
	again    bool             // it was taken before
	rebirth  *sparkplug.Topic // whose edge node should announce itself again
}

// maxAge bounds how old a reading may be: a frame says when it was signed within ten years of its readings.
const maxAge = 9 * 365 * 24 * time.Hour

func checkTime(t provenance.Time, now time.Time) error {
	switch at := t.Time(); {
	case at.Sub(now) > provenance.MaxClockSkew*time.Millisecond:
		return fmt.Errorf("acquired at %s, %s in the future", t, at.Sub(now).Round(time.Second))
	case now.Sub(at) > maxAge:
		return fmt.Errorf("acquired at %s, more than nine years ago: the sensor's clock is not set", t)
	}
	return nil
}

// read never fails because of the message; an error means that our own disk could not be asked.
func (in *interpreter) read(ctx context.Context, topic string, body []byte, redelivered bool, now time.Time) (meaning, error) {
	if strings.HasPrefix(topic, sparkplug.Namespace+"/") {
		return in.readSparkplug(topic, body, now), nil
	}
	return in.readSenML(ctx, topic, body, redelivered, now)
}

func (in *interpreter) readSenML(ctx context.Context, topic string, body []byte, redelivered bool, now time.Time) (meaning, error) {
	var m meaning
	measurements, unreadable := senml.Decode(body)
	if unreadable != nil {
		m.problems = []string{"SenML: " + unreadable.Error()}
	}
	for i := range measurements {
		if measurements[i].Relative && m.relative == nil {
			digest := sha256.Sum256(append([]byte(topic+"\x00"), body...))
			m.relative = digest[:]
		}
	}
	if m.relative != nil && redelivered {
		var err error
		if m.again, err = in.seen(ctx, m.relative); err != nil || m.again {
			return m, err
		}
	}
	for i := range measurements {
		in.measured(&m, topic, &measurements[i], now)
	}
	return m, nil
}

func (in *interpreter) measured(m *meaning, topic string, measurement *senml.Measurement, now time.Time) {
	rule := in.mapping.find(topic, measurement.Name)
	if rule == nil {
		in.unmapped(m, fmt.Sprintf("no rule maps %q on topic %q", measurement.Name, topic))
		return
	}
	at := provenance.Time(measurement.Time)
	if measurement.Relative {
		at += provenance.TimeOf(now)
	}
	err := checkTime(at, now)
	var value provenance.Micro
	switch {
	case err != nil:
	case measurement.Other != "":
		err = fmt.Errorf("holds %s, not a number", measurement.Other)
	default:
		value, err = rule.convert(measurement)
	}
	if err != nil {
		m.problems = append(m.problems, fmt.Sprintf("%q: %v", measurement.Name, err))
		return
	}
	m.readings = append(m.readings, reading{rule.Device, provenance.Reading{Time: at, Value: value}})
}

func (in *interpreter) readSparkplug(name string, body []byte, now time.Time) meaning {
	var m meaning
	topic, err := sparkplug.ParseTopic(name)
	if errors.Is(err, sparkplug.ErrOther) {
		return m
	}
	var result sparkplug.Result
	if err == nil {
		result, err = in.nodes.Take(topic, body)
	}
	if result.Rebirth {
		m.rebirth = &topic
	}
	if result.Changed {
		m.node = topic.Node()
	}
	if err != nil {
		m.problems = []string{"Sparkplug: " + err.Error()}
		return m
	}
	for _, problem := range result.Problems {
		m.problems = append(m.problems, "Sparkplug: "+problem.Error())
	}
	for i := range result.Readings {
		in.reported(&m, &result.Readings[i], now)
	}
	return m
}

func (in *interpreter) reported(m *meaning, r *sparkplug.Reading, now time.Time) {
	rule := in.mapping.sparkplug[source{r.Group, r.Edge, r.Device, r.Metric}]
	if rule == nil {
		if r.Other == "" { // texts and switches are not expected to be mapped
			in.unmapped(m, fmt.Sprintf("no rule maps metric %q of group %q, edge %q, device %q", r.Metric, r.Group, r.Edge, r.Device))
		}
		return
	}
	at := provenance.Time(r.Time)
	err := checkTime(at, now)
	var value provenance.Micro
	switch {
	case err != nil:
	case r.Other != "":
		err = fmt.Errorf("holds %s, not a number", r.Other)
	default:
		value, err = rule.conversion.Apply(r.Value).Micro()
	}
	if err != nil {
		m.problems = append(m.problems, fmt.Sprintf("metric %q: %v", r.Metric, err))
		return
	}
	m.readings = append(m.readings, reading{rule.Device, provenance.Reading{Time: at, Value: value}})
}

// unmapped tells of a measurement without a rule, once.
func (in *interpreter) unmapped(m *meaning, what string) {
	m.unmapped++
	if in.unknown[what] || len(in.unknown) >= maxUnknown {
		return
	}
	in.unknown[what] = true
	m.problems = append(m.problems, what+" (told once)")
}
