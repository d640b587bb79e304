// Package recompute computes an alert's score anew from what the ledger holds: a shipment, readings and a model. It needs no network
// and no state, and gives the same bits on every machine (architecture.md, 10).
package recompute

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trailmark/trailmark/analytics/autoencoder"
	"github.com/trailmark/trailmark/analytics/service"
	"github.com/trailmark/trailmark/analytics/spoilage"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Score is what is recorded of a finding.
type Score struct {
	Alert   string              `json:"alert"`
	Kind    string              `json:"kind"`
	Score   provenance.Micro    `json:"score"`
	Message string              `json:"message"`
	Drivers []provenance.Driver `json:"drivers"`
}

// All computes every finding about a shipment in readings, as of the last of them.
func All(shipment *provenance.Shipment, model *autoencoder.Model, readings []service.Reading) ([]spoilage.Finding, error) {
	profile, config, err := service.Profile(shipment)
	if err != nil {
		return nil, err
	}
	var last provenance.Time
	input := make([]spoilage.Reading, len(readings))
	for i, r := range readings {
		input[i] = spoilage.Reading{Device: r.Device, Time: r.Time.Time(), Temperature: int64(r.Value)}
		last = max(last, r.Time)
	}
	return spoilage.Recompute(profile, model, config, input, last.Time())
}

// Alert finds the incident of an alert and scores it. An attester may have seen it begin elsewhere; exact asks for the raiser's.
func Alert(findings []spoilage.Finding, id string, exact bool) (Score, error) {
	k := slices.IndexFunc(findings, func(f spoilage.Finding) bool { return service.AlertID(&f) == id })
	if k < 0 && !exact {
		k = slices.IndexFunc(findings, func(f spoilage.Finding) bool { return service.StandsFor(id, &f) })
	}
	if k < 0 {
		names := make([]string, len(findings))
		for i := range findings {
			names[i] = service.AlertID(&findings[i])
		}
		if len(names) == 0 {
			names = []string{"nothing"}
		}
		return Score{}, fmt.Errorf("these readings give no finding %s; they give %s", id, strings.Join(names, ", "))
	}
	return Of(&findings[k]), nil
}

// Of is what is recorded of a finding.
func Of(f *spoilage.Finding) Score {
	return Score{Alert: service.AlertID(f), Kind: string(f.Kind), Score: provenance.Micro(f.Score), Message: f.Sentence, Drivers: service.Drivers(f)}
}
