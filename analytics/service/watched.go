package service

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/trailmark/trailmark/analytics/kinetics"
	"github.com/trailmark/trailmark/analytics/spoilage"
	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// watched is a shipment with its scorer, fed with all that was recorded up to a block.
type watched struct {
	Plan   provenance.Hash `json:"plan"` // digest of what the ledger says of the shipment: another plan is another scorer
	Block  uint64          `json:"block"`
	Latest provenance.Time `json:"latest"`
	State  []byte          `json:"state"`  // the scorer's snapshot, filled when it is saved
	Raised []string        `json:"raised"` // alerts that stand

	scorer *spoilage.Scorer
	saved  time.Time
}

// saveEvery bounds how much a restart has to score again.
const saveEvery = 10 * time.Second

// follow feeds a shipment what came since and raises what is found.
func (s *Service) follow(ctx context.Context, shipment *provenance.Shipment, height uint64) error {
	w, err := s.watch(shipment)
	if err != nil {
		return err
	}
	fresh, err := s.projection.Recorded(ctx, shipment.ID, w.Block, height)
	if err != nil {
		return err
	}
	if len(fresh) > 0 {
		if err := s.feed(ctx, w, shipment, fresh, height); err != nil {
			return err
		}
	}
	w.Block = height
	if len(fresh) > 0 {
		if err := s.raise(ctx, w, shipment); err != nil {
			return err
		}
	}
	if time.Since(w.saved) > saveEvery && len(fresh) > 0 {
		return s.save(w, shipment.ID)
	}
	return nil
}

// watch finds the shipment's scorer, restores it, or begins anew.
func (s *Service) watch(shipment *provenance.Shipment) (*watched, error) {
	plan, err := s.plan(shipment)
	if err != nil {
		return nil, err
	}
	if w := s.shipments[shipment.ID]; w != nil && w.Plan == plan {
		return w, nil
	}
	w, err := s.restore(shipment, plan)
	if err != nil {
		s.log.Warn("snapshot is not used; the shipment is scored from its first reading", slog.String("shipment", shipment.ID), slog.Any("error", err))
	}
	if w == nil {
		w = &watched{Plan: plan}
		if w.scorer, err = s.scorer(shipment); err != nil {
			return nil, err
		}
	}
	w.saved = time.Now()
	s.shipments[shipment.ID] = w
	return w, nil
}

// plan digests what a score depends on besides the readings.
func (s *Service) plan(shipment *provenance.Shipment) (provenance.Hash, error) {
	bytes, err := evidence.Marshal([]any{shipment.Profile, shipment.Limits, shipment.Initial, shipment.Attachments, s.request.Hash, s.request.Kernel})
	return sha256.Sum256(bytes), err
}

// Profile is the product profile of a shipment, with the band that the shipment itself agreed on.
func Profile(shipment *provenance.Shipment) (kinetics.Profile, spoilage.Config, error) {
	profile, known := kinetics.ByID(shipment.Profile)
	if !known {
		return profile, spoilage.Config{}, fmt.Errorf("product profile %q is not known to this build", shipment.Profile)
	}
	profile.Band.Low, profile.Band.High = int64(shipment.Limits.Min), int64(shipment.Limits.Max)
	profile.Band.CumulativeMinutes = int(shipment.Limits.AllowedMinutes)
	profile.Band.ConsecutiveMinutes = min(profile.Band.ConsecutiveMinutes, profile.Band.CumulativeMinutes)
	var config spoilage.Config
	if initial := int64(shipment.Initial); initial != 0 {
		config.InitialCount = &initial
	}
	return profile, config, nil
}

func (s *Service) scorer(shipment *provenance.Shipment) (*spoilage.Scorer, error) {
	profile, config, err := Profile(shipment)
	if err != nil {
		return nil, err
	}
	return spoilage.New(profile, s.model, config)
}

// feed observes fresh readings; where one is older than its device's last, all are scored again in order of time.
func (s *Service) feed(ctx context.Context, w *watched, shipment *provenance.Shipment, fresh []Reading, height uint64) error {
	observe := func(readings []Reading) error {
		slices.SortFunc(readings, byTime)
		for _, r := range readings {
			err := w.scorer.Observe(r.Device, r.Time.Time(), int64(r.Value))
			switch {
			case errors.Is(err, spoilage.ErrImplausible):
				continue // recorded, shown and bundled, but no temperature that a score could use
			case err != nil:
				return err
			}
			w.Latest = max(w.Latest, r.Time)
			s.metrics.readings.Inc()
		}
		return nil
	}
	err := observe(fresh)
	if err == nil {
		return nil
	}
	if !errors.Is(err, spoilage.ErrOutOfOrder) {
		return err
	}
	s.metrics.rebuilds.Inc()
	all, err := s.projection.Recorded(ctx, shipment.ID, 0, height)
	if err != nil {
		return err
	}
	if w.scorer, err = s.scorer(shipment); err != nil {
		return err
	}
	w.Latest = 0
	return observe(distinct(all))
}

func byTime(a, b Reading) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Device, b.Device), cmp.Compare(a.Value, b.Value))
}

// distinct keeps, of several readings of a device for one moment, that with the lowest value, as spoilage.Recompute does.
func distinct(readings []Reading) []Reading {
	slices.SortFunc(readings, byTime)
	return slices.CompactFunc(readings, func(a, b Reading) bool { return a.Time == b.Time && a.Device == b.Device })
}

// sameIncident is how far the start of a finding may lie from that of an alert of its kind and still be the same incident: another
// node, or we before a back-fill, may have seen it begin elsewhere.
const sameIncident = provenance.Time(3 * time.Hour / time.Millisecond)

// raise puts what is found, and not yet on the ledger, there.
func (s *Service) raise(ctx context.Context, w *watched, shipment *provenance.Shipment) error {
	for _, finding := range w.scorer.Assess(w.Latest.Time()) {
		if slices.Contains(w.Raised, alertID(finding)) {
			continue
		}
		request, err := s.describe(ctx, w, shipment, finding)
		if err != nil {
			return err
		}
		if err := s.ledger.RaiseAlert(ctx, request); err != nil {
			var refused *provenance.Error
			if !errors.As(err, &refused) || refused.Code != provenance.Conflict {
				return fmt.Errorf("raising alert %s: %w", request.ID, err)
			}
			s.log.Warn("the ledger has this alert otherwise; it is left as it stands", slog.String("shipment", shipment.ID), slog.String("alert", request.ID), slog.Any("error", err))
		} else {
			s.metrics.alerts.WithLabelValues(request.Kind).Inc()
			s.log.Info("alert raised", slog.String("shipment", shipment.ID), slog.String("alert", request.ID), slog.String("message", request.Message))
		}
		w.Raised = append(w.Raised, alertID(finding))
		if err := s.save(w, shipment.ID); err != nil {
			return err
		}
	}
	return nil
}

// alertID names an incident: its kind and when it began.
func alertID(f spoilage.Finding) string {
	return string(f.Kind) + "-" + f.From.UTC().Format("20060102T150405Z")
}

// describe describes a finding for the ledger, with the input it rests on: every reading of the shipment up to the block.
func (s *Service) describe(ctx context.Context, w *watched, shipment *provenance.Shipment, finding spoilage.Finding) (provenance.AlertRequest, error) {
	all, err := s.projection.Recorded(ctx, shipment.ID, 0, w.Block)
	if err != nil {
		return provenance.AlertRequest{}, err
	}
	slices.SortFunc(all, byTime)
	id, err := s.identify(ctx, shipment.ID, finding)
	if err != nil {
		return provenance.AlertRequest{}, err
	}
	request := provenance.AlertRequest{
		ID: id, Shipment: shipment.ID, Kind: string(finding.Kind), Score: provenance.Micro(finding.Score), ModelName: s.request.Name, ModelVersion: s.request.Version,
		InputRoot: InputRoot(all), From: all[0].Time, To: all[len(all)-1].Time, AsOfBlock: w.Block, Devices: Devices(all), Readings: uint64(len(all)),
		Message: finding.Sentence,
	}
	for name, value := range finding.Drivers {
		request.Drivers = append(request.Drivers, provenance.Driver{Name: name, Value: provenance.Micro(value), Unit: driverUnit(name)})
	}
	slices.SortFunc(request.Drivers, func(a, b provenance.Driver) int { return cmp.Compare(a.Name, b.Name) })
	return request, nil
}

// driverUnit tells the unit of a driver from its name, which spoilage's rules build from a few words.
func driverUnit(name string) string {
	for _, unit := range []struct{ word, unit string }{
		{"hours", "h"}, {"minutes", "min"}, {"Minutes", "min"}, {"count", "log10"}, {"emperature", "Cel"}, {"baseline", "Cel"}, {"lowest", "Cel"}, {"highest", "Cel"},
	} {
		if strings.Contains(name, unit.word) {
			return unit.unit
		}
	}
	return "1"
}

// identify gives the identifier of the alert that stands for the incident already, or a new one.
func (s *Service) identify(ctx context.Context, shipment string, finding spoilage.Finding) (string, error) {
	alerts, err := s.projection.Alerts(ctx, shipment)
	if err != nil {
		return "", err
	}
	from := provenance.TimeOf(finding.From)
	for _, alert := range alerts {
		begun, known := beginning(alert)
		if alert.Kind == string(finding.Kind) && known && begun >= from-sameIncident && begun <= from+sameIncident {
			return alert.ID, nil
		}
	}
	return alertID(finding), nil
}

// beginning reads when an alert's incident began from its identifier.
func beginning(alert provenance.Alert) (provenance.Time, bool) {
	prefix := alert.Kind + "-"
	if len(alert.ID) <= len(prefix) {
		return 0, false
	}
	t, err := time.Parse("20060102T150405Z", alert.ID[len(prefix):])
	return provenance.TimeOf(t), err == nil
}

// InputRoot is the root over the readings of a score.
func InputRoot(readings []Reading) provenance.Hash {
	input := make([]evidence.InputReading, len(readings))
	for i, r := range readings {
		input[i] = evidence.InputReading(r)
	}
	return evidence.InputRoot(input)
}

// Devices lists whose readings these are, rising.
func Devices(readings []Reading) []string {
	var devices []string
	for _, r := range readings {
		if i, found := slices.BinarySearch(devices, r.Device); !found {
			devices = slices.Insert(devices, i, r.Device)
		}
	}
	return devices
}

func (s *Service) saveAll(ctx context.Context) error {
	for id, w := range s.shipments {
		if err := s.save(w, id); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// save writes a snapshot; an old or missing one costs time after a restart, nothing else.
func (s *Service) save(w *watched, shipment string) error {
	w.saved = time.Now()
	if s.config.Dir == "" {
		return nil
	}
	var err error
	if w.State, err = w.scorer.Snapshot(); err != nil {
		return err
	}
	text, err := json.Marshal(w)
	if err != nil {
		return err
	}
	path := s.snapshotPath(shipment)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return fmt.Errorf("saving snapshot: %w", err)
	}
	return os.Rename(path+".new", path)
}

// restore reads a snapshot of the same plan, nil where there is none.
func (s *Service) restore(shipment *provenance.Shipment, plan provenance.Hash) (*watched, error) {
	if s.config.Dir == "" {
		return nil, nil
	}
	text, err := os.ReadFile(s.snapshotPath(shipment.ID))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	w := new(watched)
	if err := json.Unmarshal(text, w); err != nil {
		return nil, err
	}
	if w.Plan != plan {
		return nil, nil
	}
	profile, _, err := Profile(shipment)
	if err != nil {
		return nil, err
	}
	w.scorer, err = spoilage.Restore(profile, s.model, w.State)
	if err != nil {
		return nil, err
	}
	return w, nil
}
