package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Chart is what a shipment's chart takes from the API.
type Chart struct {
	Days     int     `json:"days"`
	Sensors  int     `json:"sensors"`
	Readings int     `json:"readings"` // that the chart sums up; they came over the road
	Points   int     `json:"points"`   // in the answer
	Bytes    int     `json:"bytes"`
	Times    int     `json:"times"` // it was asked for, one after the other
	Latency  Latency `json:"latencyMs"`
}

const (
	chartDays    = 30
	chartSensors = 10
)

// chart sends thirty days of one-minute readings of ten sensors over the road, back-filled, and asks the gateway node's API for the
// chart of the shipment that they are attached to.
func (r *run) chart(ctx context.Context) error {
	days := chartDays
	if r.config.Short {
		days = 2
	}
	start := time.Now().Add(-time.Duration(days) * 24 * time.Hour).Truncate(time.Minute)
	t, err := r.newTraffic(ctx, "chart", chartSensors, readingsPacked, start, time.Minute)
	if err != nil {
		return err
	}
	const shipment = "bench-chart"
	opened := provenance.TimeOf(start)
	if _, err := r.contracts.OpenShipment(ctx, provenance.Opening{
		ID: shipment, Goods: []provenance.Goods{{Description: "What the benchmark's sensors watch"}}, Parties: []string{r.carrier.MSPID}, Profile: "milk-pasteurised", Opened: opened, Limits: provenance.Limits{Min: 2_000_000, Max: 8_000_000, AllowedMinutes: 60},
	}); err != nil {
		return err
	}
	for _, d := range t.fleet.Devices {
		if _, err := r.contracts.Attach(ctx, provenance.AttachRequest{Shipment: shipment, Device: d.ID, From: opened}); err != nil {
			return err
		}
	}
	frames := days * 24 * 60 / readingsPacked * chartSensors
	if err := t.sign(frames); err != nil {
		return err
	}
	r.step("chart: sending %d readings of %d sensors over %d days", frames*readingsPacked, chartSensors, days)
	if err := r.publishAll(ctx, t, 4000); err != nil {
		return err
	}
	query := url.Values{"from": {start.UTC().Format(time.RFC3339)}, "to": {start.Add(time.Duration(days)*24*time.Hour + time.Hour).UTC().Format(time.RFC3339)}}
	address := r.nodes[gatewayProcess] + "/api/v1/shipments/" + shipment + "/readings?" + query.Encode()
	c := &Chart{Days: days, Sensors: chartSensors, Times: r.config.Charts}
	var took []time.Duration
	for range r.config.Charts {
		begun := time.Now()
		body, err := fetch(ctx, address, r.token)
		if err != nil {
			return err
		}
		took = append(took, time.Since(begun))
		if c.Bytes == 0 {
			if err := c.read(body); err != nil {
				return err
			}
		}
	}
	if c.Readings != frames*readingsPacked {
		return &MismatchError{fmt.Sprintf("the chart sums up %d readings, and %d were sent", c.Readings, frames*readingsPacked)}
	}
	c.Latency = latencyOf(took)
	r.result.Chart = c
	r.step("chart: %d points in %d kB, p50 %.1f ms, p99 %.1f ms", c.Points, c.Bytes/1000, c.Latency.P50, c.Latency.P99)
	return nil
}

// read counts what an answer holds.
func (c *Chart) read(body []byte) error {
	var answer struct {
		Series []struct {
			Points []struct {
				Count int `json:"count"`
			} `json:"points"`
		} `json:"series"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("reading the chart: %w", err)
	}
	c.Bytes = len(body)
	for _, s := range answer.Series {
		c.Points += len(s.Points)
		for _, p := range s.Points {
			c.Readings += p.Count
		}
	}
	return nil
}
