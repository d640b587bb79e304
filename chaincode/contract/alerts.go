package contract

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Limits of an alert.
const (
	maxAlertDevices = 256
	maxDrivers      = 32
	maxAttestations = 64
	maxAlertsListed = 1000
)

// alerts holds findings about shipments. A party raises one; whoever comes to the same finding attests it; a party acknowledges
// it, once.
type alerts struct{ contractapi.Contract }

func (*alerts) GetEvaluateTransactions() []string { return []string{"Get", "List"} }

// Raise enters an alert, or the caller's attestation of one that stands.
func (*alerts) Raise(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.AlertRequest](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkAlert(request); err != nil {
		return "", err
	}
	key := provenance.AlertKey(request.Shipment, request.ID)
	modelKey := provenance.ModelKey(request.ModelName, request.ModelVersion)
	if err := tx.prefetch([]string{provenance.ShipmentKey(request.Shipment), modelKey, key, provenance.PolicyKey(provenance.PolicyGovernance)}); err != nil {
		return "", err
	}
	shipment, err := tx.opened(request.Shipment)
	if err != nil {
		return "", err
	}
	model, err := load[provenance.Model](tx, modelKey)
	if err != nil {
		return "", err
	}
	if model == nil {
		return "", provenance.NotFoundf("model %s %s is not registered", request.ModelName, request.ModelVersion)
	}
	alert, err := load[provenance.Alert](tx, key)
	if err != nil {
		return "", err
	}
	attestation := provenance.AlertAttestation{
		Organisation: tx.organisation, Score: request.Score, InputRoot: request.InputRoot, AsOfBlock: request.AsOfBlock, Time: tx.now,
	}
	switch {
	case alert == nil:
		if err := mayRaise(tx.organisation, shipment, request); err != nil {
			return "", err
		}
		alert = newAlert(request, model, attestation)
	case alert.Kind != request.Kind || alert.ModelName != request.ModelName || alert.ModelVersion != request.ModelVersion:
		return "", provenance.Conflictf("alert %s of shipment %s stands as %s by model %s %s", alert.ID, alert.Shipment, alert.Kind, alert.ModelName, alert.ModelVersion)
	case slices.ContainsFunc(alert.Attestations, func(a provenance.AlertAttestation) bool { return a.Organisation == tx.organisation }):
		return reply(alert) // an organisation's first word stands
	case len(alert.Attestations) >= maxAttestations:
		return "", provenance.Conflictf("alert %s of shipment %s has %d attestations, no more are allowed", alert.ID, alert.Shipment, maxAttestations)
	default:
		attest(alert, attestation)
	}
	if err := tx.mayScore(model); err != nil {
		return "", err
	}
	if err := tx.put(key, alert); err != nil {
		return "", err
	}
	return reply(alert)
}

func checkAlert(r *provenance.AlertRequest) error {
	if err := checkIdentifiers("alert", r.ID, "shipment", r.Shipment, "model", r.ModelName, "version", r.ModelVersion); err != nil {
		return err
	}
	switch r.Kind {
	case provenance.KindBandExcursion, provenance.KindExcursionForecast, provenance.KindSpoilage, provenance.KindAnomaly,
		provenance.KindDeviceSilent, provenance.KindDeviceClock, provenance.KindDeviceBattery, provenance.KindDeviceCalibration:
	default:
		return provenance.Invalidf("alert %s: kind %q is unknown", r.ID, r.Kind)
	}
	if err := checkTime("from", r.From); err != nil {
		return err
	}
	if err := checkTime("to", r.To); err != nil {
		return err
	}
	switch n := len(r.Devices); {
	case r.From > r.To:
		return provenance.Invalidf("alert %s: its interval ends before it begins", r.ID)
	case n == 0 || n > maxAlertDevices:
		return provenance.Invalidf("alert %s: %d devices, 1 to %d are allowed", r.ID, n, maxAlertDevices)
	case r.Readings == 0 && r.Kind != provenance.KindDeviceSilent && r.Kind != provenance.KindDeviceCalibration: // these are about none
		return provenance.Invalidf("alert %s saw no readings", r.ID)
	case len(r.Drivers) > maxDrivers:
		return provenance.Invalidf("alert %s: %d drivers, at most %d are allowed", r.ID, len(r.Drivers), maxDrivers)
	}
	for i, device := range r.Devices {
		if err := checkIdentifiers("device", device); err != nil {
			return err
		}
		if i > 0 && r.Devices[i-1] >= device {
			return provenance.Invalidf("alert %s: devices must be in order, each once", r.ID)
		}
	}
	for _, driver := range r.Drivers {
		if err := checkText("name of a driver", driver.Name, maxText, false); err != nil {
			return err
		}
		if err := checkText("unit of a driver", driver.Unit, 16, true); err != nil {
			return err
		}
	}
	return checkText("message", r.Message, maxComment, false)
}

// mayRaise tells whether the finding can be about this shipment, and the caller may say so first.
func mayRaise(caller string, shipment *provenance.Shipment, r *provenance.AlertRequest) error {
	if !shipment.IsParty(caller) {
		return provenance.Forbiddenf("%s is no party of shipment %s; it may attest an alert that a party has raised", caller, shipment.ID)
	}
	for _, device := range r.Devices {
		overlaps := func(a provenance.Attachment) bool {
			return a.Device == device && a.From <= r.To && (a.To == 0 || r.From < a.To)
		}
		if !slices.ContainsFunc(shipment.Attachments, overlaps) {
			return provenance.Conflictf("device %s was not attached to shipment %s between %s and %s", device, shipment.ID, r.From, r.To)
		}
	}
	return nil
}

func newAlert(r *provenance.AlertRequest, model *provenance.Model, first provenance.AlertAttestation) *provenance.Alert {
	drivers := r.Drivers
	if drivers == nil {
		drivers = []provenance.Driver{} // an empty list has one encoding
	}
	return &provenance.Alert{
		ID: r.ID, Shipment: r.Shipment, Kind: r.Kind, Score: r.Score, ModelName: model.Name, ModelVersion: model.Version,
		ModelHash: model.Hash, InputRoot: r.InputRoot, Interval: provenance.Interval{From: r.From, To: r.To}, AsOfBlock: r.AsOfBlock,
		Devices: r.Devices, Readings: r.Readings, Message: r.Message, Drivers: drivers, Raised: first.Time,
		Organisation: first.Organisation, Attestations: []provenance.AlertAttestation{first},
	}
}

// attest adds an attestation: the raiser's stays first, the others follow by organisation.
func attest(alert *provenance.Alert, attestation provenance.AlertAttestation) {
	alert.Attestations = append(alert.Attestations, attestation)
	slices.SortFunc(alert.Attestations[1:], func(a, b provenance.AlertAttestation) int {
		return strings.Compare(a.Organisation, b.Organisation)
	})
}

// Acknowledge records who took notice of an alert, and what they make of it.
func (*alerts) Acknowledge(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.AcknowledgeRequest](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkIdentifiers("shipment", request.Shipment, "alert", request.ID); err != nil {
		return "", err
	}
	if err := checkText("person", request.Person, maxText, false); err != nil {
		return "", err
	}
	if err := checkText("comment", request.Comment, maxComment, false); err != nil {
		return "", err
	}
	shipment, err := tx.opened(request.Shipment)
	if err != nil {
		return "", err
	}
	if !shipment.IsParty(tx.organisation) {
		return "", provenance.Forbiddenf("%s is no party of shipment %s", tx.organisation, shipment.ID)
	}
	key := provenance.AlertKey(request.Shipment, request.ID)
	alert, err := load[provenance.Alert](tx, key)
	if err != nil {
		return "", err
	}
	if alert == nil {
		return "", provenance.NotFoundf("alert %s of shipment %s is not on the ledger", request.ID, request.Shipment)
	}
	if standing := alert.Acknowledgement; standing != nil {
		if standing.Organisation == tx.organisation && standing.Person == request.Person && standing.Comment == request.Comment {
			return reply(alert)
		}
		return "", provenance.Conflictf("alert %s was acknowledged by %s of %s at %s", alert.ID, standing.Person, standing.Organisation, standing.Time)
	}
	alert.Acknowledgement = &provenance.Acknowledgement{
		Organisation: tx.organisation, Person: request.Person, Comment: request.Comment, Time: tx.now,
	}
	if err := tx.put(key, alert); err != nil {
		return "", err
	}
	return reply(alert)
}

// Get answers with an alert.
func (*alerts) Get(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.AlertName](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkIdentifiers("shipment", request.Shipment, "alert", request.ID); err != nil {
		return "", err
	}
	alert, err := load[provenance.Alert](tx, provenance.AlertKey(request.Shipment, request.ID))
	return found(alert, err, fmt.Sprintf("alert %s of shipment %s is not on the ledger", request.ID, request.Shipment))
}

// List answers with a shipment's alerts.
func (*alerts) List(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ByID](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkIdentifiers("shipment", request.ID); err != nil {
		return "", err
	}
	from, to := within(provenance.AlertKey(request.ID, ""))
	alerts, err := scan[provenance.Alert](tx, from, to, maxAlertsListed)
	if err != nil {
		return "", err
	}
	return reply(alerts)
}
