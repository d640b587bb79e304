package contract

import (
	"fmt"
	"slices"

	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// training holds the runs that made weights. A recorded run never changes.
type training struct{ contractapi.Contract }

func (*training) GetEvaluateTransactions() []string { return []string{"Get"} }

// Record enters a training run of the caller's, on datasets that are approved now.
func (*training) Record(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.TrainingRequest](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkTraining(request); err != nil {
		return "", err
	}
	if _, err := tx.registered(tx.organisation); err != nil {
		return "", err
	}
	key := provenance.TrainingKey(request.ID)
	standing, err := load[provenance.TrainingRun](tx, key)
	if err != nil {
		return "", err
	}
	if standing != nil {
		if standing.Organisation != tx.organisation || !ranAs(standing, request) {
			return "", provenance.Conflictf("training run %s was recorded by %s with other content or by another organisation; record it under another name", standing.ID, standing.Organisation)
		}
		return reply(standing)
	}
	run := &provenance.TrainingRun{
		ID: request.ID, Organisation: tx.organisation, Code: request.Code, Configuration: request.Configuration, Seed: request.Seed,
		Purpose: request.Purpose, Recorded: tx.now,
	}
	keys := make([]string, len(request.Datasets))
	for i, id := range request.Datasets {
		keys[i] = provenance.DatasetKey(id)
	}
	if err := tx.prefetch(keys); err != nil {
		return "", err
	}
	leaves := make([]provenance.Hash, len(request.Datasets))
	for i, id := range request.Datasets {
		dataset, err := tx.usable(id, request.Purpose)
		if err != nil {
			return "", err
		}
		run.Datasets = append(run.Datasets, provenance.TrainedDataset{ID: id, Root: dataset.Root})
		leaves[i] = evidence.LeafHash(dataset.Root[:])
	}
	run.TrainingRoot = evidence.Root(leaves)
	if err := tx.put(key, run); err != nil {
		return "", err
	}
	return reply(run)
}

func checkTraining(r *provenance.TrainingRequest) error {
	if err := checkIdentifiers("training run", r.ID, "code", r.Code, "purpose", r.Purpose); err != nil {
		return err
	}
	switch n := len(r.Datasets); {
	case r.Configuration == (provenance.Hash{}):
		return provenance.Invalidf("training run %s: its configuration's hash is missing", r.ID)
	case r.Seed >= maxSeed:
		return provenance.Invalidf("training run %s: seed %d, at most %d is allowed", r.ID, r.Seed, uint64(maxSeed-1))
	case n == 0 || n > maxDatasets:
		return provenance.Invalidf("training run %s: %d datasets, 1 to %d are allowed", r.ID, n, maxDatasets)
	}
	return checkRising("dataset", r.Datasets)
}

func ranAs(run *provenance.TrainingRun, r *provenance.TrainingRequest) bool {
	return run.Code == r.Code && run.Configuration == r.Configuration && run.Seed == r.Seed && run.Purpose == r.Purpose &&
		slices.EqualFunc(run.Datasets, r.Datasets, func(d provenance.TrainedDataset, id string) bool { return d.ID == id })
}

// Get answers with a training run.
func (*training) Get(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ByID](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkIdentifiers("training run", request.ID); err != nil {
		return "", err
	}
	run, err := load[provenance.TrainingRun](tx, provenance.TrainingKey(request.ID))
	return found(run, err, fmt.Sprintf("training run %s is not on the ledger", request.ID))
}
