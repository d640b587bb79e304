package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger"
	"github.com/trailmark/trailmark/ingest"
)

// Contracts calls the contracts with typed requests and results, in the name of one organisation.
type Contracts struct{ Client *ledger.Client }

// Dial connects to the network in a folder in the name of an organisation. The caller closes Client.
func Dial(net, organisation string, log *slog.Logger) (Contracts, error) {
	client, err := ledger.Dial(ledger.Config{Profile: filepath.Join(net, "profile.json"), Organisation: organisation}, log, prometheus.NewRegistry())
	return Contracts{client}, err
}

// submit records a request on the ledger and returns the contract's result. A conflict with a transaction that was committed
// between endorsement and commit is proposed afresh: the contracts recognise what stands already.
func submit[Result any](ctx context.Context, c Contracts, contract, function string, request any) (result Result, at ledger.Result, err error) {
	argument, err := json.Marshal(request)
	if err != nil {
		return result, at, err
	}
	for attempt := 0; ; attempt++ {
		at, err = c.Client.Submit(ctx, contract, function, argument)
		var conflict *ledger.ConflictError
		if err == nil || attempt == mostConflicts || !errors.As(err, &conflict) {
			break
		}
	}
	if err != nil {
		return result, at, fmt.Errorf("%s:%s: %w", contract, function, err)
	}
	return result, at, decode(at.Response, &result)
}

// mostConflicts is how often a proposal is made afresh before the caller is told.
const mostConflicts = 10

// evaluate asks the contract without recording anything.
func evaluate[Result any](ctx context.Context, c Contracts, contract, function string, request any) (result Result, err error) {
	argument, err := json.Marshal(request)
	if err != nil {
		return result, err
	}
	response, err := c.Client.Evaluate(ctx, contract, function, argument)
	if err != nil {
		return result, fmt.Errorf("%s:%s: %w", contract, function, err)
	}
	return result, decode(response, &result)
}

func decode(response []byte, result any) error {
	if err := json.Unmarshal(response, result); err != nil {
		return fmt.Errorf("reading the contract's response: %w", err)
	}
	return nil
}

// Enrol enrols devices in as few transactions as allowed; progress is told after each.
func (c Contracts) Enrol(ctx context.Context, enrolments []provenance.Enrolment, progress func(done int)) (total provenance.EnrolResult, err error) {
	for done := 0; done < len(enrolments); {
		n := min(provenance.MaxEnrolmentsInOne, len(enrolments)-done)
		result, _, err := submit[provenance.EnrolResult](ctx, c, "devices", "EnrolMany", provenance.EnrolRequest{Devices: enrolments[done : done+n]})
		if err != nil {
			return total, err
		}
		done += n
		total.Enrolled += result.Enrolled
		total.Unchanged += result.Unchanged
		if progress != nil {
			progress(done)
		}
	}
	return total, nil
}

// Devices lists every device on the ledger.
func (c Contracts) Devices(ctx context.Context) ([]*provenance.Device, error) {
	var all []*provenance.Device
	for page := (provenance.Page{Limit: provenance.MaxPage}); ; {
		some, err := evaluate[[]*provenance.Device](ctx, c, "devices", "List", page)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if len(some) < provenance.MaxPage {
			return all, nil
		}
		page.After = some[len(some)-1].ID
	}
}

// OpenShipment opens a shipment.
func (c Contracts) OpenShipment(ctx context.Context, opening provenance.Opening) (provenance.Shipment, error) {
	shipment, _, err := submit[provenance.Shipment](ctx, c, "shipments", "Open", opening)
	return shipment, err
}

// Attach ties a device to a shipment.
func (c Contracts) Attach(ctx context.Context, request provenance.AttachRequest) (provenance.Shipment, error) {
	shipment, _, err := submit[provenance.Shipment](ctx, c, "shipments", "Attach", request)
	return shipment, err
}

// CloseShipment ends a shipment.
func (c Contracts) CloseShipment(ctx context.Context, request provenance.CloseRequest) error {
	_, _, err := submit[provenance.Shipment](ctx, c, "shipments", "Close", request)
	return err
}

// RegisterModel registers a model; again is no error.
func (c Contracts) RegisterModel(ctx context.Context, model provenance.ModelRequest) error {
	_, _, err := submit[provenance.Model](ctx, c, "models", "Register", model)
	return err
}

// RaiseAlert records an alert, or attests to the one that stands.
func (c Contracts) RaiseAlert(ctx context.Context, alert provenance.AlertRequest) error {
	_, _, err := submit[provenance.Alert](ctx, c, "alerts", "Raise", alert)
	return err
}

// Acknowledge acknowledges an alert.
func (c Contracts) Acknowledge(ctx context.Context, request provenance.AcknowledgeRequest) (provenance.Alert, error) {
	alert, _, err := submit[provenance.Alert](ctx, c, "alerts", "Acknowledge", request)
	return alert, err
}

// ingestLedger is the ledger as ingest wants it.
type ingestLedger struct{ Contracts }

func (l ingestLedger) Lane(ctx context.Context, organisation string, lane uint32) (provenance.Lane, error) {
	return evaluate[provenance.Lane](ctx, l.Contracts, "lanes", "Get", provenance.LaneName{Organisation: organisation, Lane: lane})
}

func (l ingestLedger) ClaimLane(ctx context.Context, _ string, lane uint32, instance string, fence uint64) (provenance.Lane, error) {
	claimed, _, err := submit[provenance.Lane](ctx, l.Contracts, "lanes", "Claim", provenance.LaneClaim{Lane: lane, Owner: instance, ExpectedFence: fence})
	if found := refusalOf(err); found != nil && found.Code == provenance.Conflict {
		return claimed, fmt.Errorf("%w: %s", ingest.ErrConflict, found.Message)
	}
	return claimed, err
}

func (l ingestLedger) CommitBatch(ctx context.Context, argument []byte) (*provenance.Manifest, error) {
	committed, err := l.Client.Submit(ctx, "readings", "Commit", argument)
	if err != nil {
		return nil, batchError(err)
	}
	manifest := new(provenance.Manifest)
	if err := evidence.Unmarshal(committed.Response, manifest); err != nil {
		return nil, fmt.Errorf("reading the manifest that the contract returned: %w", err)
	}
	return manifest, nil
}

// batchError says what a failed commit means in ingest's words.
func batchError(err error) error {
	var conflict *ledger.ConflictError
	if errors.As(err, &conflict) {
		return fmt.Errorf("%w: %w", ingest.ErrConflict, err)
	}
	found := refusalOf(err)
	switch {
	case found == nil:
		return err
	case found.Begins(provenance.StaleFence):
		return fmt.Errorf("%w: %w", ingest.ErrStaleFence, err)
	case found.Code == provenance.Conflict:
		return fmt.Errorf("%w: %w", ingest.ErrAlreadyCommitted, err)
	default:
		return fmt.Errorf("%w: %w", ingest.ErrRejected, err)
	}
}

func refusalOf(err error) *provenance.Error {
	var found *provenance.Error
	if errors.As(err, &found) {
		return found
	}
	return nil
}

func (l ingestLedger) Manifest(ctx context.Context, organisation string, lane uint32, number uint64) (*provenance.Manifest, error) {
	manifest, err := evaluate[*provenance.Manifest](ctx, l.Contracts, "readings", "Manifest", provenance.ManifestName{Organisation: organisation, Lane: lane, Number: number})
	return orNil(manifest, err)
}

func (l ingestLedger) Device(ctx context.Context, id string) (*provenance.Device, error) {
	device, err := evaluate[*provenance.Device](ctx, l.Contracts, "devices", "Get", provenance.ByID{ID: id})
	return orNil(device, err)
}

// orNil turns "not found" into nothing found.
func orNil[T any](found *T, err error) (*T, error) {
	if refused := refusalOf(err); refused != nil && refused.Code == provenance.NotFound {
		return nil, nil
	}
	return found, err
}

// Organisations lists every organisation on the ledger.
func (c Contracts) Organisations(ctx context.Context) ([]provenance.Organisation, error) {
	return evaluate[[]provenance.Organisation](ctx, c, "organisations", "List", provenance.Page{Limit: provenance.MaxPage})
}

// Head is how far a device's frames have come in an epoch.
func (c Contracts) Head(ctx context.Context, device string, epoch uint32) (provenance.Head, error) {
	return evaluate[provenance.Head](ctx, c, "readings", "Head", provenance.HeadName{Device: device, Epoch: epoch})
}
