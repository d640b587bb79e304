package contract

import (
	"fmt"
	"slices"

	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// maxDatasetDevices bounds the devices that a dataset names.
const maxDatasetDevices = 256

// datasets holds the data that models may come from. What a dataset is never changes; organisations approve it, and may revoke it.
type datasets struct{ contractapi.Contract }

func (*datasets) GetEvaluateTransactions() []string { return []string{"Get", "List"} }

// Propose enters a dataset. To propose is not to approve.
func (*datasets) Propose(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.DatasetProposal](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkDataset(request); err != nil {
		return "", err
	}
	if _, err := tx.registered(tx.organisation); err != nil {
		return "", err
	}
	key := provenance.DatasetKey(request.ID)
	standing, err := load[provenance.Dataset](tx, key)
	if err != nil {
		return "", err
	}
	if standing != nil {
		if standing.Organisation != tx.organisation || !proposedAs(standing, request) {
			return "", provenance.Conflictf("dataset %s was proposed by %s with other content or by another organisation; propose it under another name", standing.ID, standing.Organisation)
		}
		return reply(standing)
	}
	if err := tx.mustHoldDevices(request); err != nil {
		return "", err
	}
	dataset := &provenance.Dataset{
		ID: request.ID, Organisation: tx.organisation, Root: request.Root, Content: request.Content, Count: request.Count,
		Interval: provenance.Interval{From: request.From, To: request.To}, Devices: slices.Concat([]string{}, request.Devices),
		Licence: request.Licence, Purposes: request.Purposes, Report: request.Report,
		Approvals: []provenance.Statement{}, Objections: []provenance.Statement{}, Proposed: tx.now, Changed: tx.now,
	}
	if err := tx.put(key, dataset); err != nil {
		return "", err
	}
	return reply(dataset)
}

func checkDataset(r *provenance.DatasetProposal) error {
	if err := checkIdentifiers("dataset", r.ID); err != nil {
		return err
	}
	if err := checkTime("from", r.From); err != nil {
		return err
	}
	if err := checkTime("to", r.To); err != nil {
		return err
	}
	switch n := len(r.Purposes); {
	case r.Root == (provenance.Hash{}) || r.Report == (provenance.Hash{}):
		return provenance.Invalidf("dataset %s: its root or its quality report's hash is missing", r.ID)
	case r.Content != provenance.ContentReadings && r.Content != provenance.ContentFrames:
		return provenance.Invalidf("dataset %s: content %q is unknown", r.ID, r.Content)
	case r.Count == 0:
		return provenance.Invalidf("dataset %s holds nothing", r.ID)
	case r.From > r.To:
		return provenance.Invalidf("dataset %s: its interval ends before it begins", r.ID)
	case len(r.Devices) > maxDatasetDevices:
		return provenance.Invalidf("dataset %s: %d devices, at most %d are allowed", r.ID, len(r.Devices), maxDatasetDevices)
	case n == 0 || n > maxPurposes:
		return provenance.Invalidf("dataset %s: %d purposes, 1 to %d are allowed", r.ID, n, maxPurposes)
	}
	if err := checkRising("device", r.Devices); err != nil {
		return err
	}
	if err := checkRising("purpose", r.Purposes); err != nil {
		return err
	}
	return checkText("licence", r.Licence, maxText, false)
}

func proposedAs(d *provenance.Dataset, r *provenance.DatasetProposal) bool {
	return d.Root == r.Root && d.Content == r.Content && d.Count == r.Count && d.Interval.From == r.From && d.Interval.To == r.To &&
		slices.Equal(d.Devices, r.Devices) && d.Licence == r.Licence && slices.Equal(d.Purposes, r.Purposes) && d.Report == r.Report
}

// mustHoldDevices refuses a dataset that says to be attested by a device which the ledger does not know.
func (tx *transaction) mustHoldDevices(r *provenance.DatasetProposal) error {
	keys := make([]string, len(r.Devices))
	for i, device := range r.Devices {
		keys[i] = provenance.DeviceKeyState(device)
	}
	if err := tx.prefetch(keys); err != nil {
		return err
	}
	for i, key := range keys {
		value, err := tx.value(key)
		if err != nil {
			return err
		}
		if len(value) == 0 {
			return provenance.NotFoundf("device %s of dataset %s is not enrolled", r.Devices[i], r.ID)
		}
	}
	return nil
}

// Approve enters the caller's approval; with enough of them the dataset is approved.
func (*datasets) Approve(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ByID](argument, maxArgument)
	if err != nil {
		return "", err
	}
	dataset, err := tx.voteOnDataset(request.ID)
	if err != nil {
		return "", err
	}
	switch {
	case dataset.Status == provenance.DatasetRevoked:
		return "", provenance.Conflictf("dataset %s is revoked", dataset.ID)
	case provenance.Said(dataset.Objections, tx.organisation):
		return "", provenance.Conflictf("%s has objected to dataset %s", tx.organisation, dataset.ID)
	}
	needed, err := tx.quorum(provenance.PolicyDataset)
	if err != nil {
		return "", err
	}
	changed := false
	if !provenance.Said(dataset.Approvals, tx.organisation) {
		dataset.Approvals, changed = append(dataset.Approvals, tx.statement("")), true
	}
	if dataset.Status == provenance.DatasetProposed && provenance.Standing(dataset.Approvals, dataset.Objections) >= needed {
		dataset.Status, changed = provenance.DatasetApproved, true // also where the quorum fell since the last approval
	}
	return tx.keepDataset(dataset, changed)
}

// Revoke ends a dataset for good, at once by the word of the organisation that proposed it; another's is an objection, and as many
// of them as approve a dataset revoke it too. The first models downstream are flagged with it, governance:Flag flags the others.
func (*datasets) Revoke(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.DatasetRevocation](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkText("reason", request.Reason, maxComment, false); err != nil {
		return "", err
	}
	dataset, err := tx.voteOnDataset(request.ID)
	if err != nil {
		return "", err
	}
	needed, err := tx.quorum(provenance.PolicyDataset)
	if err != nil {
		return "", err
	}
	changed := false
	if !provenance.Said(dataset.Objections, tx.organisation) {
		dataset.Objections, changed = append(dataset.Objections, tx.statement(request.Reason)), true
	}
	if dataset.Status != provenance.DatasetRevoked && (tx.organisation == dataset.Organisation || len(dataset.Objections) >= needed) {
		dataset.Status, dataset.Flagging, changed = provenance.DatasetRevoked, &provenance.Flagging{}, true
		if err := tx.flag(dataset); err != nil {
			return "", err
		}
	}
	return tx.keepDataset(dataset, changed)
}

// Get answers with a dataset.
func (*datasets) Get(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ByID](argument, maxArgument)
	if err != nil {
		return "", err
	}
	dataset, err := tx.dataset(request.ID)
	if err != nil {
		return "", err
	}
	return reply(dataset)
}

// List answers with a page of datasets.
func (*datasets) List(tx *transaction, argument string) (string, error) {
	return list[provenance.Dataset](tx, provenance.DatasetKey(""), argument)
}

// dataset loads a dataset that must be on the ledger.
func (tx *transaction) dataset(id string) (*provenance.Dataset, error) {
	if err := checkIdentifiers("dataset", id); err != nil {
		return nil, err
	}
	dataset, err := load[provenance.Dataset](tx, provenance.DatasetKey(id))
	if err == nil && dataset == nil {
		err = provenance.NotFoundf("dataset %s is not on the ledger", id)
	}
	return dataset, err
}

// voteOnDataset loads a dataset that the caller, a registered organisation, speaks on.
func (tx *transaction) voteOnDataset(id string) (*provenance.Dataset, error) {
	dataset, err := tx.dataset(id)
	if err == nil {
		_, err = tx.registered(tx.organisation)
	}
	return dataset, err
}

// usable loads a dataset that must be approved, and for this purpose.
func (tx *transaction) usable(id, purpose string) (*provenance.Dataset, error) {
	dataset, err := tx.dataset(id)
	switch {
	case err != nil:
		return nil, err
	case dataset.Status != provenance.DatasetApproved:
		return nil, provenance.Conflictf("dataset %s is %s, not approved", id, dataset.Status)
	case !slices.Contains(dataset.Purposes, purpose):
		return nil, provenance.Conflictf("dataset %s may not be used for %s, only for %s", id, purpose, fmt.Sprint(dataset.Purposes))
	}
	return dataset, nil
}

func (tx *transaction) keepDataset(dataset *provenance.Dataset, changed bool) (string, error) {
	if changed {
		dataset.Changed = tx.now
		if err := tx.put(provenance.DatasetKey(dataset.ID), dataset); err != nil {
			return "", err
		}
	}
	return reply(dataset)
}
