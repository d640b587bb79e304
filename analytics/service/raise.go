package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/trailmark/trailmark/analytics/spoilage"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// raise puts what is found, and has no alert yet, on the ledger. input is every reading of the shipment up to w.Block, by time, or nil
// where it is to be read: that is done once for all findings of a block, and only where there is a new one, so its cost is bounded by
// the number of incidents, which lie hours apart.
func (s *Service) raise(ctx context.Context, w *watched, shipment *provenance.Shipment, input []Reading) error {
	var fresh []spoilage.Finding
	if w.assess {
		for _, finding := range w.scorer.Assess(w.Latest.Time()) {
			if !slices.ContainsFunc(w.Raised, func(id string) bool { return StandsFor(id, &finding) }) {
				fresh = append(fresh, finding)
			}
		}
	}
	if len(fresh) == 0 {
		w.assess = false
		return nil
	}
	standing, err := s.projection.Alerts(ctx, shipment.ID)
	if err != nil {
		return fmt.Errorf("reading the alerts that stand: %w", err)
	}
	waiting := false
	for i := range fresh {
		id, stands := identify(standing, &fresh[i])
		if w.attest && !stands {
			waiting = true
			continue
		}
		if input == nil {
			if input, err = s.projection.Recorded(ctx, shipment.ID, 0, w.Block); err != nil {
				return fmt.Errorf("reading all that was recorded: %w", err)
			}
			slices.SortFunc(input, byTime)
		}
		if len(input) == 0 {
			return errors.New("the projection has lost the readings that were scored")
		}
		wait, err := s.send(ctx, w, s.describe(shipment.ID, id, &fresh[i], input, w.Block))
		if err != nil {
			return err
		}
		waiting = waiting || wait
	}
	w.assess = waiting
	return nil
}

// send puts an alert on the ledger. What the ledger refuses for good is left as it is; wait tells that a party must raise it first.
func (s *Service) send(ctx context.Context, w *watched, request provenance.AlertRequest) (wait bool, err error) {
	log := s.log.With(slog.String("shipment", request.Shipment), slog.String("alert", request.ID))
	err = s.ledger.RaiseAlert(ctx, request)
	var refused *provenance.Error
	switch {
	case err == nil:
		s.metrics.alerts.WithLabelValues(request.Kind).Inc()
		log.Info("alert raised", slog.Uint64("block", request.AsOfBlock), slog.String("message", request.Message))
	case !errors.As(err, &refused), refused.Code == provenance.NotFound: // the network, or a peer that lags behind
		return false, fmt.Errorf("raising alert %s: %w", request.ID, err)
	case refused.Code == provenance.Forbidden:
		w.attest = true
		log.Info("an alert is left to the shipment's parties; it is attested when it stands", slog.Any("error", err))
		return true, nil
	default:
		s.metrics.refused.WithLabelValues(request.Kind).Inc()
		log.Warn("the ledger refuses an alert, or has it otherwise; it is left as it stands", slog.Any("error", err))
	}
	w.Raised = append(w.Raised, request.ID)
	s.save(w, request.Shipment)
	return false, nil
}

// describe describes a finding for the ledger, with the input it rests on, which is sorted by time.
func (s *Service) describe(shipment, id string, finding *spoilage.Finding, input []Reading, block uint64) provenance.AlertRequest {
	return provenance.AlertRequest{
		ID: id, Shipment: shipment, Kind: string(finding.Kind), Score: provenance.Micro(finding.Score), ModelName: s.request.Name, ModelVersion: s.request.Version,
		InputRoot: InputRoot(input), From: input[0].Time, To: input[len(input)-1].Time, AsOfBlock: block, Devices: devices(input), Readings: uint64(len(input)),
		Message: finding.Sentence, Drivers: Drivers(finding),
	}
}

// identify gives the identifier of the alert that stands for the incident already, or that of a new one.
func identify(standing []provenance.Alert, finding *spoilage.Finding) (id string, stands bool) {
	own := AlertID(finding)
	for i := range standing {
		switch other := standing[i].ID; {
		case other == own:
			return own, true
		case StandsFor(other, finding) && (!stands || other < id):
			id, stands = other, true
		}
	}
	if !stands {
		return own, false
	}
	return id, true
}
