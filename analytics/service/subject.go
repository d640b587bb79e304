package service

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/trailmark/trailmark/analytics/autoencoder"
	"github.com/trailmark/trailmark/analytics/kernel"
	"github.com/trailmark/trailmark/analytics/kinetics"
	"github.com/trailmark/trailmark/analytics/spoilage"
	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// What follows turns ledger records into what is scored, and what was found into ledger records. An auditor uses the same.

// ModelName is how our model is registered.
const ModelName = "cold-chain"

// LoadModel reads a model that trailmark train wrote; an empty path is the one that comes with the program.
func LoadModel(path string) (*autoencoder.Model, error) {
	if path == "" {
		return autoencoder.Default()
	}
	encoded, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading model: %w", err)
	}
	model, err := autoencoder.Decode(encoded)
	if err != nil {
		return nil, fmt.Errorf("reading model %s: %w", path, err)
	}
	return model, nil
}

// Kernel names the arithmetic of this program: its kernel and, by the beginning of their hash, the product profiles that it scores by.
func Kernel() string {
	sum := sha256.New()
	for _, profile := range kinetics.Builtin() {
		hash := profile.Hash()
		sum.Write(hash[:])
	}
	return strings.ReplaceAll(kernel.Version, "/", "-") + ".profiles-" + hex.EncodeToString(sum.Sum(nil)[:6])
}

// Registration describes a model to the ledger. Its version is the beginning of its hash and of the hash of Kernel, so that another
// program's arithmetic with the same weights is another model.
func Registration(model *autoencoder.Model) provenance.ModelRequest {
	hash, arithmetic := provenance.Hash(model.Hash()), sha256.Sum256([]byte(Kernel()))
	return provenance.ModelRequest{
		Name: ModelName, Version: fmt.Sprintf("%s-%x", hash.String()[:16], arithmetic[:3]), Hash: hash, Kernel: Kernel(), TrainingRoot: model.TrainingData(),
	}
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

// InputRoot is the root over the readings of a score.
func InputRoot(readings []Reading) provenance.Hash {
	input := make([]evidence.InputReading, len(readings))
	for i, r := range readings {
		input[i] = evidence.InputReading{Device: r.Device, Time: r.Time, Value: r.Value}
	}
	return evidence.InputRoot(input)
}

// devices lists whose readings these are, rising.
func devices(readings []Reading) []string {
	var ids []string
	for _, r := range readings {
		if i, found := slices.BinarySearch(ids, r.Device); !found {
			ids = slices.Insert(ids, i, r.Device)
		}
	}
	return ids
}

// began is how an alert's identifier writes when its incident began.
const began = "20060102T150405Z"

// AlertID names an incident: its kind and when it began.
func AlertID(f *spoilage.Finding) string {
	return string(f.Kind) + "-" + f.From.UTC().Format(began)
}

// sameIncident is how far an alert's beginning may lie outside of a finding of its kind and still stand for it: another node, or we
// before a back-fill, may have seen it begin elsewhere. Findings further apart than this are separate incidents to the scorer, too.
const sameIncident = 3 * time.Hour

// StandsFor tells whether the alert of that name is about the incident of a finding.
func StandsFor(id string, f *spoilage.Finding) bool {
	text, ofKind := strings.CutPrefix(id, string(f.Kind)+"-")
	if !ofKind {
		return false
	}
	begun, err := time.Parse(began, text)
	return err == nil && !begun.Before(f.From.Add(-sameIncident)) && !begun.After(f.To.Add(sameIncident))
}

// Drivers are the numbers behind a finding as the ledger keeps them, by name.
func Drivers(f *spoilage.Finding) []provenance.Driver {
	drivers := make([]provenance.Driver, 0, len(f.Drivers))
	for name, value := range f.Drivers {
		drivers = append(drivers, provenance.Driver{Name: name, Value: provenance.Micro(value), Unit: unitOf(name)})
	}
	slices.SortFunc(drivers, func(a, b provenance.Driver) int { return cmp.Compare(a.Name, b.Name) })
	return drivers
}

// unitOf tells the unit of a driver: "1" for probabilities, fractions and the model's own measure.
func unitOf(driver string) string {
	switch driver {
	case "minutesOut", "minutesOutInAll", "minutesLeft", "gapMinutes":
		return "min"
	case "horizonHours", "hoursLeft", "hoursLeftLow", "hoursLeftHigh", "hoursLeftNow":
		return "h"
	case "temperature", "extremeTemperature", "meanKineticTemperature", "usualLow", "usualHigh", "baseline", "lowest", "highest":
		return "Cel"
	case "degreesPerHour":
		return "Cel/h"
	case "count", "countLow", "countHigh":
		return "log10"
	}
	return "1"
}
